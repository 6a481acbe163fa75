"""Patch-level labels to tissue segmentation: the components that the configs of this bundle name."""

from pathlib import Path

from .core import errors

#: Absolute path of the folder that holds ``configs``, ``scripts``, ``models`` and ``docs``.
BUNDLE_ROOT = str(Path(__file__).resolve().parent.parent)

errors.install()
