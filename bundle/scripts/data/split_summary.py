"""What a preparation has made, as a person reads it: sections, groups, who is held out, and what to do next."""

from __future__ import annotations

import logging
import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.paths import BUNDLE_ROOT

__all__ = ["next_step", "split_summary", "warn_of_the_split"]

logger = logging.getLogger(__name__)


def split_summary(sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Entries and groups of each section, its largest groups, and the names of those held out, as text."""
    lines = []
    for section, entries in sections.items():
        sizes = Counter(str(e["group"]) for e in entries if e.get("group") is not None)
        alone = len(entries) - sum(sizes.values())
        line = f"{section}: {len(entries)} images"
        if sizes:
            line += f" of {len(sizes)} group{'s' if len(sizes) > 1 else ''}"
            if section == "training":
                largest = ", ".join(f"{_short(name)} {count}" for name, count in sizes.most_common(3))
                line += f" (the largest: {largest})"
            else:
                names = sorted(sizes)
                line += f" ({', '.join(map(_short, names[:6]))}{', ...' if len(names) > 6 else ''})"
        if alone:
            line += f"{', ' if sizes else ' of no group'}{f'{alone} of no group' if sizes else ''}"
        lines.append(line)
    return "\n".join(lines)


def warn_of_the_split(sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Say loudly where nothing is held out, or where one group stands on both sides."""
    groups = {
        section: {str(e["group"]) for e in entries if e.get("group") is not None} for section, entries in sections.items()
    }
    training = sections.get("training", [])
    single = len(groups.get("training", ())) == 1 and all(e.get("group") is not None for e in training)
    if not sections.get("validation") and (single or len(training) < 2):
        logger.warning(
            "NOTHING IS HELD OUT: all %d training patches are of one group, so that no score tells how well other slides "
            "are read; give the slide or case of each patch: a column 'group' in the table, or --prepare#group REGEX",
            len(training),
        )
    for section in ("validation", "test"):
        if both := sorted(groups.get("training", set()) & groups.get(section, set())):
            logger.warning(
                "%d groups stand in training and in %s, whose scores are too good by that: %s",
                len(both), section, ", ".join(map(_short, both[:6])),
            )  # fmt: skip


def next_step(dataset_dir: str | Path, settings: Mapping[str, Any] | None = None) -> None:
    """Print the command that trains on a prepared dataset.

    Args:
        dataset_dir: prepared dataset.
        settings: of the stages, if the dataset file has some.
    """
    config = os.path.relpath(Path(BUNDLE_ROOT) / "configs" / "pipeline.yaml")
    folder = os.path.relpath(dataset_dir)
    words = ["python", "-m", "monai.bundle", "run", "--config_file", config, "--dataset_dir", folder]
    words += ["--output_dir", f"{folder}_run"]
    print("next: " + " ".join(map(shlex.quote, words)))
    if settings:
        print("  (with the dataset file after pipeline.yaml, whose settings of the stages count)")


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:11]}..{name[-11:]}"
