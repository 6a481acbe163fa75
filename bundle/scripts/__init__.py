"""Patch-level labels to tissue segmentation: the components that the configs of this bundle name, in rooms by stage.

A notebook or another program finds what it may rely on in :mod:`scripts.inference`; everything else is internal.
"""

from .core.errors import install
from .core.paths import BUNDLE_ROOT

__all__ = ["BUNDLE_ROOT"]

install()
