"""What a machine has and lacks for what the bundle can do, and what to do about it."""

from .examination import examine

__all__ = ["examine"]
