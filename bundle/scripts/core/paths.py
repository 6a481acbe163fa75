"""Where the bundle lies."""

from pathlib import Path

__all__ = ["BUNDLE_ROOT"]

#: Absolute path of the folder that holds ``configs``, ``scripts``, ``models`` and ``docs``.
BUNDLE_ROOT = str(Path(__file__).resolve().parents[2])
