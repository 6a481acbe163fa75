"""Rounds of labelling: folders that each hold a page, its patches, and the table of answers that a person saves there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.facts import DatasetFacts
from ..core.lock import locked
from ..core.paths import shown
from ..data.layouts import ROUND

__all__ = [
    "ANSWERS",
    "PATCHES",
    "LabelRound",
    "check_alike",
    "find_rounds",
    "next_round",
    "pixel_digest",
    "read_round",
    "round_to_be",
]

#: Files of a round: what its patches are, and the answers.
PATCHES, ANSWERS = ROUND, "labels.csv"
FORMAT = 1
_NAME = re.compile(r"round_(\d+)")


@dataclass(frozen=True)
class LabelRound:
    """A round.

    Args:
        folder: its folder.
        facts: classes, colours, patch size and µm/px.
        patches: of each patch ``image`` (relative to the folder), ``group``, ``region``, ``position``, ``digest`` and more,
            by its image.
    """

    folder: Path
    facts: DatasetFacts
    patches: dict[str, Mapping[str, Any]]

    @property
    def answers(self) -> Path:
        """The table that the page exports; it may not be there yet."""
        return self.folder / ANSWERS


def find_rounds(folder: str | Path) -> list[LabelRound]:
    """The rounds of a folder in their order, or the one that it is itself.

    Raises:
        ValueError: a round that cannot be read.
    """
    folder = Path(folder)
    if (folder / PATCHES).is_file():
        return [read_round(folder)]
    found = sorted((int(m[1]), p.parent) for p in folder.glob(f"*/{PATCHES}") if (m := _NAME.fullmatch(p.parent.name)))
    return [read_round(place) for _, place in found]


def next_round(folder: str | Path) -> Path:
    """Folder of the round after those that are there."""
    numbers = [int(m[1]) for p in Path(folder).glob("*") if (m := _NAME.fullmatch(p.name))]
    return Path(folder) / f"round_{max(numbers, default=0) + 1}"


@contextmanager
def round_to_be(label_dir: str | Path, facts: DatasetFacts, command: str) -> Iterator[tuple[Path, DatasetFacts]]:
    """Folder of the next round, which no other process makes while the block runs, and its facts, whose µm/px are those of
    the rounds before where nothing is said.

    Raises:
        BlockingIOError: another process makes a round there.
        ValueError: the folder is a round itself.
    """
    place = Path(label_dir)
    if (place / PATCHES).is_file():
        raise ValueError(f"{shown(place)}: is a round itself; label_dir is the folder above it")
    existed = place.exists()
    try:
        with locked(place / ".lock", f"{command}, which makes a round"):
            before = find_rounds(place)
            yield next_round(place), replace(facts, mpp=facts.mpp or (before[-1].facts.mpp if before else None))
    finally:
        if not existed:
            with suppress(OSError):
                place.rmdir()


def read_round(folder: Path) -> LabelRound:
    """Read what a round's patches are.

    Raises:
        ValueError: not the file that ``label.yaml`` wrote, or of another version; the message names it.
    """
    path = folder / PATCHES
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format"]
        patches = {str(patch["image"]): {**patch, "group": str(patch["group"])} for patch in content["patches"]}
        facts = DatasetFacts.from_dict(content["dataset"], str(path))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{shown(path)}: not as label.yaml writes it ({error}); restore it, or take another folder"
        ) from error
    if version != FORMAT:
        raise ValueError(
            f"{shown(path)}: found format {version!r}, expected {FORMAT}; it is of another version of the bundle"
        )
    outside = [name for name in patches if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise ValueError(f"{shown(path)}: the patch {outside[0]!r} leaves the folder")
    return LabelRound(folder, facts, patches)


def check_alike(rounds: Sequence[LabelRound], facts: DatasetFacts) -> None:
    """See that rounds are of the same classes, patch size and µm/px.

    Raises:
        ValueError: one is not; the message names it.
    """
    for r in rounds:
        own = {"classes": list(r.facts.classes), "patch_size": r.facts.patch_size, "mpp": r.facts.mpp}
        asked = {"classes": list(facts.classes), "patch_size": facts.patch_size, "mpp": facts.mpp}
        for key, value in own.items():
            if value != asked[key]:
                raise ValueError(
                    f"{shown(r.folder)}: has {key} {value}, the others {asked[key]}; rounds of one folder are of the same: "
                    "take another label_dir"
                )


def pixel_digest(patch: np.ndarray) -> str:
    """By which a patch ``(H, W, 3)`` uint8 is known again, whatever file it lies in."""
    return hashlib.sha256(f"{patch.shape}".encode() + np.ascontiguousarray(patch).tobytes()).hexdigest()[:16]


def set_identity(facts: DatasetFacts, digests: Sequence[str]) -> str:
    """16 hexadecimal digits by which answers in a browser are known to be of these patches and classes."""
    return hashlib.sha256(json.dumps([FORMAT, facts.classes, list(digests)]).encode()).hexdigest()[:16]
