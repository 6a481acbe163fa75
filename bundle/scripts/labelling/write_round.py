"""Writes a round: the page, its patches, and these with the tissue around them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..core.atomic import make_folder, write_json
from ..core.facts import DatasetFacts
from ..core.image_writers import write_image
from ..core.paths import shown
from .candidates import Candidate, each_source
from .label_page import write_label_page
from .label_rounds import FORMAT, PATCHES, pixel_digest, set_identity

__all__ = ["KEYS", "RoundRule", "check_classes", "presented", "write_round"]

#: Keys of the classes.
KEYS = "123456789qwertyuiop"
#: Columns of the table of answers that are no classes.
COLUMNS = ("image", "group", "position_y", "position_x", "seconds", "annotator", "cannot_tell", "again", "again_seconds")
_CONTEXT_SIDE = 1200  # px of the picture of the surroundings, at most
_TEMPORARY = ".making-"


@dataclass(frozen=True)
class RoundRule:
    """How patches are shown.

    Args:
        context: side of the tissue that is shown around a patch, in sides of the patch; 1: none.
        repeat: one in so many patches comes a second time, for the agreement with oneself; 0: none.
        seed: seed of which.
    """

    context: float = 3.0
    repeat: int = 20
    seed: int = 0


def check_classes(facts: DatasetFacts) -> None:
    """See that a page can ask for these classes.

    Raises:
        ValueError: more of them than there are keys, or one that is called as another column of the table.
    """
    if facts.num_classes > len(KEYS):
        raise ValueError(
            f"classes: found {facts.num_classes}, expected at most {len(KEYS)}, one for each key ({KEYS[0]}-9, then q-p); "
            "label some of them, or summarise"
        )
    taken = [name for name in facts.classes if name.strip().casefold() in (*COLUMNS, "mpp", "region", "slide", "position")]
    if taken:
        raise ValueError(f"classes: {taken[0]!r} is the name of another column of labels.csv; choose another name")


def presented(count: int, rule: RoundRule) -> list[int]:
    """Numbers of the patches in the order in which they are shown: some come again, after half of all others at least."""
    order = list(range(count))
    again = count // rule.repeat if rule.repeat else 0
    if count < 2 or not again:
        return order
    rng = np.random.default_rng(rule.seed)
    first = sorted(rng.choice(max(1, count // 2), size=min(again, max(1, count // 2)), replace=False).tolist())
    gap = max(1, count // 2)
    for number in reversed(first):
        low = order.index(number) + gap
        order.insert(int(rng.integers(min(low, len(order)), len(order) + 1)), number)
    return order


def write_round(
    folder: Path,
    candidates: Sequence[Candidate],
    looks: Sequence[int],
    facts: DatasetFacts,
    rule: RoundRule,
    faults: list[str],
    opinions: np.ndarray | None = None,
    commands: Sequence[str] = (),
    progress: bool = True,
) -> list[int]:
    """Write a round, whole or not at all.

    Args:
        folder: to be made.
        candidates: its patches in the order in which they are to be labelled.
        looks: of each.
        facts: with classes, colours, patch size and µm/px; without the latter it is that of the images, where they have one.
        rule: how they are shown.
        faults: gets a message for each patch that can no longer be read; it is left out.
        opinions: ``(N, C)`` probabilities of a model, which the page shows when asked.
        commands: to be shown when all is answered, see :func:`~.next_commands.next_commands`.
        progress: whether to show a progress bar.

    Returns:
        Numbers of the patches that were written.

    Raises:
        OSError: it cannot be written, or is there.
        ValueError: there is no patch, or none could be read.
    """
    if not candidates:
        raise ValueError(
            "\n".join(["found no patch that is unlike those that are labelled, or in a round, already", *faults])
        )
    if folder.exists():
        raise FileExistsError(f"{shown(folder)}: there already; its answers would be lost")
    make_folder(folder.parent)
    for left in folder.parent.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=folder.parent))
    try:
        rows: dict[int, dict[str, Any]] = {}
        sizes: set[tuple[float, float] | None] = set()
        for k, candidate, opened in each_source(candidates, facts.mpp, faults, "patches", progress):
            try:
                patch = opened.read(*candidate.box)
                row = _described(candidate, patch, int(looks[k]), None if opinions is None else opinions[k])
                write_image(temporary / row["image"], patch, opened.mpp)
                if not candidate.whole and rule.context > 1:
                    row.update(_surroundings(opened.read, candidate, rule.context, temporary))
            except (ValueError, OSError) as error:
                if isinstance(error, OSError) and error.filename is not None and str(temporary) in str(error.filename):
                    raise
                faults.append(str(error))
                continue
            rows[k] = row
            sizes.add(opened.mpp)
        if not rows:
            raise ValueError("\n".join(["none of the patches can be read", *faults]))
        numbers = sorted(rows)
        facts = replace(facts, mpp=facts.mpp or _common(sizes))
        _finish(temporary, [rows[k] for k in numbers], facts, rule, commands, folder)
        temporary.chmod(0o755)  # mkdtemp's are private
        os.replace(temporary, folder)
        return numbers
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _common(sizes: set[tuple[float, float] | None]) -> float | None:
    """µm/px of all patches; ``None`` where they differ, or one has none."""
    values = [value for size in sizes for value in (size or (None,))]
    if None in values or max(values) > min(values) * 1.01:
        return None
    return round(float(values[0]), 4)


def _described(candidate: Candidate, patch: np.ndarray, look: int, opinion: np.ndarray | None) -> dict[str, Any]:
    return {
        "image": f"patches/{candidate.name}.png", "context": None, "box": None, "group": candidate.group,
        "region": candidate.region, "position": None if candidate.position is None else list(candidate.position),
        "look": look, "opinion": None if opinion is None else [round(float(p), 4) for p in opinion],
        "digest": pixel_digest(patch), "source": shown(candidate.source),
    }  # fmt: skip


def _surroundings(read: Any, candidate: Candidate, context: float, folder: Path) -> dict[str, Any]:
    top, left, height, width = candidate.box
    above, before = (round(side * (context - 1) / 2) for side in (height, width))
    picture = read(top - above, left - before, height + 2 * above, width + 2 * before)
    factor = min(1.0, _CONTEXT_SIDE / max(picture.shape[:2]))
    if factor < 1:
        size = tuple(round(side * factor) for side in picture.shape[1::-1])
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
    name = f"context/{candidate.name}.jpg"
    write_image(folder / name, picture)
    box = [above, before, height, width]
    return {"context": name, "box": [round(value * factor, 2) for value in box]}


def _finish(
    folder: Path,
    rows: list[dict[str, Any]],
    facts: DatasetFacts,
    rule: RoundRule,
    commands: Sequence[str],
    target: Path,
) -> None:
    identity = set_identity(facts, [row["digest"] for row in rows])
    order = presented(len(rows), rule)
    whole = {"format": FORMAT, "set": identity, "dataset": facts.to_dict(), "patches": rows, "order": order}
    write_json(folder / PATCHES, whole)
    classes = [
        {"name": name, "description": description, "colour": list(colour), "key": key}
        for name, description, colour, key in zip(facts.classes, facts.descriptions, facts.palette, KEYS, strict=False)
    ]
    shown_of = ("image", "context", "box", "group", "position", "look", "opinion")
    content = {
        "format": FORMAT, "set": identity, "name": f"{facts.name}, {target.name.replace('_', ' ')}", "classes": classes,
        "patch_size": list(facts.patch_size or ()), "mpp": facts.mpp,
        "patches": [{key: row[key] for key in shown_of} for row in rows], "order": order, "next": list(commands),
    }  # fmt: skip
    write_label_page(folder / "label.html", content)
