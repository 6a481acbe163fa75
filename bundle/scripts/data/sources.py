"""Sources that a room above turns into a folder of labelled patches, which the layout ``patches`` then reads: slides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Cutter", "cutter_of", "known_sources", "register_source", "source_settings"]


class Cutter(Protocol):
    """What cuts a source into patches.

    Args:
        files: files that are read, by their names in the source.
        more: content of what is too large to be read for that, by its name.
        dataset: facts that the source tells; those that the settings give count above them.
    """

    files: Mapping[str, Path]
    more: Mapping[str, str]
    dataset: Mapping[str, Any]

    def cut(self, folder: Path, progress: bool) -> list[str]:
        """Make ``labels.csv`` and its patches in a folder; what was cut before and is still right stays.

        Returns:
            A message for each thing that was skipped.

        Raises:
            FileExistsError: the folder holds something else.
            ValueError: nothing could be cut.
        """

    def discard_old(self, folder: Path) -> None:
        """Remove patches that the last ``cut`` did not make, as nothing needs them any more."""


_SOURCES: dict[str, tuple[Callable[[Path, Mapping[str, Any]], Cutter], tuple[str, ...]]] = {}


def register_source(name: str, make: Callable[[Path, Mapping[str, Any]], Cutter], settings: tuple[str, ...] = ()) -> None:
    """Make a source known as a layout of :func:`~.prepare.prepare`.

    Args:
        name: its name.
        make: gives the cutter of a source, by its folder or file and all settings of the preparation; it reads no pixels.
        settings: names of settings of the preparation that its result depends on.
    """
    _SOURCES[name] = make, settings


def known_sources() -> list[str]:
    """Names of the sources."""
    return sorted(_SOURCES)


def source_settings(layout: str) -> tuple[str, ...]:
    """Names of the settings that a source's result depends on; none for other layouts."""
    return _SOURCES[layout][1] if layout in _SOURCES else ()


def cutter_of(layout: str, source: Path, settings: Mapping[str, Any]) -> Cutter | None:
    """The cutter of a source; ``None`` for layouts that need none."""
    return _SOURCES[layout][0](source, settings) if layout in _SOURCES else None
