"""The results that an output folder holds: of which image each is, and what it was made with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.names import unique_names
from ..core.paths import shown

__all__ = ["AREAS", "Results", "image_of", "made_from"]

AREAS = "_areas.json"


def made_from(entry: Mapping[str, Any]) -> str:
    """What the result of an image depends on, besides networks and settings: the file's state, and ``mpp`` of its list.

    Args:
        entry: ``image``, and ``mpp`` (y, x) in µm/px where its list says it.
    """
    stat = os.stat(entry["image"])
    mpp = entry.get("mpp")
    listed = "" if mpp is None else f", {mpp[0]:g} x {mpp[1]:g} µm/px"
    return f"{_place(entry['image'])}: {stat.st_size} bytes, {stat.st_mtime_ns} ns{listed}"


class Results:
    """The ``<name>_areas.json`` of an output folder; what is not one of ours, or is damaged, does not count.

    Args:
        folder: output folder; it need not be there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.rows: dict[str, dict[str, Any]] = {}
        for path in sorted(self.folder.glob(f"*{AREAS}")):
            try:
                row = json.loads(path.read_text(encoding="utf-8"))
            except (ValueError, OSError, RecursionError):
                continue
            if isinstance(row, dict) and isinstance(row.get("made_from"), str) and isinstance(row.get("areas"), dict):
                self.rows[path.name.removesuffix(AREAS)] = row

    def of(self, fingerprint: str) -> dict[str, dict[str, Any]]:
        """Those made by the same networks and settings, by name."""
        return {name: row for name, row in self.rows.items() if row.get("fingerprint") == fingerprint}

    def names(self, files: Sequence[str | Path]) -> list[str]:
        """A name for every image: that of its result in the folder, or a new one.

        Args:
            files: different files that are there.

        Raises:
            FileExistsError: a name is that of another image's result, which would be overwritten.
        """
        before = {image_of(row): name for name, row in self.rows.items()}
        # an image whose file has been moved, with the name, size and time that it had, is the same image
        moved = {_moved(row["made_from"]): n for n, row in self.rows.items() if not os.path.exists(image_of(row))}
        kept = [before.get(_place(f)) or moved.get(_moved(made_from({"image": f}))) for f in files]
        taken = {name for name in kept if name}
        names = []
        for file, own, name in zip(files, kept, unique_names(files), strict=True):
            if own is None:
                number, own = 1, name
                while own in taken:
                    number += 1
                    own = f"{name}_{number}"
                taken.add(own)
                if own in self.rows:
                    raise FileExistsError(
                        f"{self.folder / own}{AREAS}: is the result of {image_of(self.rows[own])}, which that of "
                        f"{_place(file)} would overwrite; choose another output_dir, or remove results that are not needed"
                    )
            names.append(own)
        return names


def _place(file: str | Path) -> str:
    return shown(os.path.abspath(file))


def image_of(row: Mapping[str, Any]) -> str:
    """The absolute path of the image that a result is of, as messages show it."""
    return row["made_from"].rpartition(": ")[0]


def _moved(state: str) -> str:
    place, _, rest = state.rpartition(": ")
    return f"{os.path.basename(place)}: {rest.partition(' ns')[0]}"
