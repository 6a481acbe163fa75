"""Packages that not every use of the bundle needs, and that not everybody has installed."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["extra"]


def extra(module: str, group: str = "slides") -> ModuleType:
    """Import an optional package.

    Args:
        module: name by which it is imported, such as ``"openslide"``.
        group: the extra that brings it.

    Raises:
        ValueError: it is not installed, or does not load; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a package whose library is missing
        raise ValueError(
            f"the package {module.split('.')[0]} is needed here and does not load ({error}): pip install '.[{group}]'"
        ) from error
