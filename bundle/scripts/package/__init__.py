"""Trained weights and the bundle as one zip, as MONAI's model zoo has them."""

from .pack import package

__all__ = ["package"]
