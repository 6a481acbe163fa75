"""What is seen in the patches of a source that are new, and in those that are labelled already."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.facts import DatasetFacts
from ..core.images import read_image
from ..core.paths import shown
from .candidates import Candidate, each_source, find_candidates
from .label_rounds import check_alike, find_rounds, pixel_digest
from .looks import Looks, Onlooker, batched
from .round_request import RoundRequest

__all__ = ["Pool", "look_at_source"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pool:
    """Patches that could be labelled, and what was seen in them.

    Args:
        candidates: patches that were in no round before.
        looks: of each.
        known: features ``(M, D)`` of patches that are labelled, or in a round, already; ``None``: there are none.
        faults: a message for each thing that could not be read.
    """

    candidates: list[Candidate]
    looks: Looks
    known: np.ndarray | None
    faults: list[str]


def look_at_source(
    request: RoundRequest, facts: DatasetFacts, onlooker: Onlooker, labelled: Sequence[str | Path] = ()
) -> Pool:
    """Look at the patches of a source and at those that are labelled.

    Args:
        request: source, folder of the rounds, and which patches are candidates.
        facts: with patch size and µm/px.
        onlooker: looks.
        labelled: files of further patches that are labelled.

    Raises:
        FileNotFoundError: no source.
        ValueError: no tissue, nothing that is new, or earlier rounds of other classes, patch size or µm/px.
    """
    if request.source is None:
        raise ValueError("source: found none, expected a folder of patches, images or slides: --source FOLDER")
    rule = request.candidate_rule(facts)
    before = find_rounds(request.label_dir) if Path(request.label_dir).is_dir() else []
    check_alike(before, facts)
    files = [*[r.folder / name for r in before for name in r.patches], *map(Path, labelled)]
    digests: set[str] = set()
    known = None
    files = [path for path in files if path.is_file()]
    if files:
        known = onlooker(batched(_read(files, digests), facts.patch_size)).features
    candidates, faults = find_candidates(request.source, rule, [r.folder for r in before], request.progress)
    new: list[Candidate] = []

    def patches() -> Iterator[np.ndarray]:
        for _, candidate, opened in each_source(candidates, rule.mpp, faults, "looks", request.progress):
            try:
                patch = opened.read(*candidate.box)
            except (ValueError, OSError) as error:
                faults.append(str(error))
                continue
            digest = pixel_digest(patch)
            if digest not in digests:
                digests.add(digest)
                new.append(candidate)
                yield patch

    looks = onlooker(batched(patches(), facts.patch_size))
    if not new:
        text = f"{shown(str(request.source))}: all of its {len(candidates)} patches are labelled, or in a round, already"
        raise ValueError("\n".join([text, *faults]))
    return Pool(new, looks, known, faults)


def _read(files: Sequence[Path], digests: set[str]) -> Iterator[np.ndarray]:
    """Patches of earlier rounds; those that are gone or broken are not missed."""
    for path in files:
        try:
            patch = read_image(path)
        except (ValueError, OSError) as error:
            logger.warning("%s", error)
            continue
        digests.add(pixel_digest(patch))
        yield patch
