"""Answered rounds to a folder of labelled patches, for ``prepare``'s layout ``labelled``."""

from __future__ import annotations

import csv
import io
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.atomic import write_text
from ..core.paths import shown
from ..data.sources import register_source
from .answers import read_answers
from .label_rounds import ANSWERS, PATCHES, LabelRound, check_alike, find_rounds

__all__ = ["LabelledRounds"]

logger = logging.getLogger(__name__)

#: By it the folder of the patches is known.
_MARK = ".labelled-rounds"
_TOLD = ("name", "classes", "palette", "descriptions", "patch_size", "mpp", "white_background")


class LabelledRounds:
    """Makes a folder of labelled patches of all rounds that have answers.

    "Cannot tell" says nothing and is left out. So is "none of these": every pixel that trains is of a class that its patch
    shows.

    Args:
        source: folder of the rounds, or of one.
        settings: all of :func:`~scripts.data.prepare`; classes of its ``dataset`` must be those of the rounds.

    Attributes:
        files: patches, their descriptions and the tables.
        more: nothing.
        dataset: facts of the rounds.

    Raises:
        FileNotFoundError: no round, or none with answers.
        ValueError: rounds of different classes, or a malformed table.
    """

    def __init__(self, source: Path, settings: Mapping[str, Any]) -> None:
        rounds = find_rounds(source)
        if not rounds:
            raise FileNotFoundError(
                f"{shown(source)}: found no round of labelling (round_1/{PATCHES}); label.yaml makes one"
            )
        self.rounds = [r for r in rounds if r.answers.is_file()]
        others = [p for r in rounds for p in sorted(r.folder.glob("*.csv")) if p.name != ANSWERS]
        if others and self.rounds:
            logger.warning("%s: not read; answers are those of %s", shown(others[0]), ANSWERS)
        elif others:
            raise FileNotFoundError(f"{shown(others[0])}: found this table, expected {ANSWERS}; rename it")
        if not self.rounds:
            raise FileNotFoundError(
                f"{shown(rounds[0].answers)}: no such file; open {shown(rounds[0].folder / 'label.html')}, answer, and "
                "export the table to there"
            )
        self.facts = self.rounds[0].facts
        asked = tuple(settings["dataset"].get("classes") or self.facts.classes)
        if asked != self.facts.classes:
            raise ValueError(
                f"{shown(self.rounds[0].folder / PATCHES)}: has the classes {list(self.facts.classes)}, expected "
                f"{list(asked)}"
            )
        check_alike(self.rounds, self.facts)
        self.files = {
            f"{r.folder.name}/{name}": r.folder / name for r in self.rounds for name in (ANSWERS, PATCHES, *r.patches)
        }
        self.more: dict[str, str] = {}
        told = self.facts.to_dict()
        # that white is none may not have been said
        kept = {key: told[key] for key in _TOLD if told.get(key)}
        self.dataset: dict[str, Any] = {key: value for key, value in kept.items() if key not in settings["dataset"]}

    def cut(self, folder: Path, progress: bool) -> list[str]:
        """Make ``labels.csv`` and the patches in a folder.

        Returns:
            A message for each patch that is gone.

        Raises:
            FileExistsError: the folder holds something else.
            ValueError: no answer that trains; a table of other patches.
        """
        if folder.exists() and not (folder / _MARK).is_file() and any(folder.iterdir()):
            raise FileExistsError(f"{shown(folder)}: there already, and not made by prepare; move it")
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / _MARK, "patches of rounds of labelling, made by prepare\n")
        rows: list[list[Any]] = []
        faults: list[str] = []
        for r in self.rounds:
            rows += self._of_round(r, folder / r.folder.name, faults)
        if not rows:
            raise ValueError("\n".join([f"{shown(self.rounds[0].answers)}: no answer names a tissue", *faults]))
        write_text(folder / ANSWERS, self._table(rows))
        return faults

    def discard_old(self, folder: Path) -> None:
        """Remove patches of rounds that are no longer there."""
        kept = {r.folder.name for r in self.rounds}
        for place in folder.iterdir():
            if place.is_dir() and place.name not in kept:
                shutil.rmtree(place, ignore_errors=True)

    def _of_round(self, r: LabelRound, folder: Path, faults: list[str]) -> list[list[Any]]:
        answers = read_answers(r.answers, r.facts.classes)
        known = [a for a in answers.rows if a.image in r.patches]
        if answers.rows and not known:
            raise ValueError(
                f"{shown(r.answers)}: none of its {len(answers.rows)} images is among the {len(r.patches)} of "
                f"{shown(r.folder / PATCHES)}; it is the table of another page"
            )
        if strange := len(answers.rows) - len(known):
            faults.append(f"{shown(r.answers)}: {strange} of its {len(answers.rows)} images are of another page")
        rows, said = [], {"cannot tell": 0, "none of these": 0}
        for a in known:
            if a.label is None or not any(a.label):
                said["cannot tell" if a.label is None else "none of these"] += 1
                continue
            patch, path = r.patches[a.image], r.folder / a.image
            if not path.is_file():
                faults.append(f"{shown(path)}: no such file, but it has an answer")
                continue
            target = folder / Path(a.image).name
            _put(path, target)
            position = patch.get("position") or ["", ""]
            name = f"{folder.name}/{target.name}"
            rows.append([name, patch["group"], patch.get("region") or patch["group"], *position, *a.label])
        left = ", ".join(f"{count} {what}" for what, count in said.items() if count)
        logger.info("%s: %d patches that train%s", shown(r.answers), len(rows), left and f"; left out: {left}")
        if said["none of these"] > len(known) / 10:
            logger.warning("%s: much tissue is none of these; ask for a class of its own, 'other'", shown(r.answers))
        return rows

    def _table(self, rows: list[list[Any]]) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        mpp = [] if self.facts.mpp is None else [self.facts.mpp]
        head = ["image", "group", "region", "position_y", "position_x"]
        table.writerow([*head, *(["mpp"] if mpp else []), *self.facts.classes])
        for row in rows:
            table.writerow([*row[: len(head)], *mpp, *row[len(head) :]])
        return text.getvalue()


def _put(path: Path, target: Path) -> None:
    """A copy that shares its bytes where the file system can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


register_source("labelled", LabelledRounds)
