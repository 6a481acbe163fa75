"""Which patches could be labelled: those of a folder, and those that can be cut from images and slides with tissue."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.image_files import visible_files
from ..core.images import IMAGE_SUFFIXES, image_size, suffix
from ..core.names import unique_names
from ..core.paths import shown
from ..core.progress import track
from ..data.groups import assign_groups
from ..slides.slide_files import is_slide_name, one_per_series
from .patch_sources import PatchSource, is_slide, open_source

__all__ = ["Candidate", "CandidateRule", "each_source", "find_candidates"]

logger = logging.getLogger(__name__)

_WHOLE = 1.5  # times a patch's side up to which an image is a patch itself


@dataclass(frozen=True)
class CandidateRule:
    """Which boxes of an image are candidates.

    Args:
        size: (height, width) of the patches in px.
        mpp: their µm/px; ``None``: of images as they are, of slides 0.5.
        min_tissue: share of a patch that must be tissue.
        most: candidates at most; of more, some are drawn, as many of each group as there can be.
        seed: seed of that draw.
        group: regular expression that finds the slide or case in a path below the source.
    """

    size: tuple[int, int]
    mpp: float | None = None
    min_tissue: float = 0.25
    most: int = 5000
    seed: int = 0
    group: re.Pattern[str] | None = None


@dataclass(frozen=True)
class Candidate:
    """A patch that could be labelled.

    Args:
        source: file of the image or slide.
        name: of its own files, without suffix.
        group: slide or case.
        box: (top, left, height, width) in the image, in px of the patches.
        region: image that the place is counted in, if that is not the group.
        whole: whether the image is the patch; it then has no surroundings.
        position: (y, x) of the patch in its region, where known.
    """

    source: Path
    name: str
    group: str
    box: tuple[int, int, int, int]
    region: str = ""
    whole: bool = False
    position: tuple[int, int] | None = None


def find_candidates(
    source: str | Path | Sequence[str], rule: CandidateRule, leave_out: Sequence[Path] = (), progress: bool = True
) -> tuple[list[Candidate], list[str]]:
    """Find the patches of a source.

    Args:
        source: a folder (searched with its subfolders), an image, a slide, a pattern, or a list of these.
        rule: which patches are candidates.
        leave_out: folders that are not searched, such as that of the result.
        progress: whether to show a progress bar.

    Returns:
        The candidates, sorted by image and place, and a message for each file that cannot be read.

    Raises:
        FileNotFoundError: no such file or folder, or no image in it.
        ValueError: none of the images has enough tissue.
    """
    faults: list[str] = []
    files, base = _files(source, faults, leave_out)
    entries: list[dict[str, Any]] = [{"image": path} for path in files]
    assign_groups({"slides": entries}, base, (), rule.group)
    if len({entry["group"] for entry in entries}) == len(entries) > 1 and not any(map(is_slide_name, files)):
        logger.info(
            "each image is taken for a slide of its own; --group REGEX, or a subfolder for each slide, tells otherwise"
        )
    found: list[Candidate] = []
    for entry, name in track(list(zip(entries, unique_names(files), strict=True)), "tissue", len(files), progress):
        try:
            found += _of_image(entry, name, rule)
        except (ValueError, OSError) as error:
            faults.append(_named(entry["image"], error))
    if not found:
        read = len(files) - len(faults)
        if read <= 0 and faults:
            raise ValueError("\n".join([f"{shown(str(source))}: none of its files can be read", *faults]))
        raise ValueError(
            f"{shown(str(source))}: found no patch of {rule.size[0]} x {rule.size[1]} px of which {rule.min_tissue:.0%} is "
            f"tissue in {read} images; set a smaller patch_size or min_tissue"
        )
    return _drawn(found, rule), faults


def each_source(
    candidates: Sequence[Candidate], mpp: float | None, faults: list[str], name: str, progress: bool = True
) -> Iterator[tuple[int, Candidate, PatchSource]]:
    """The number of each candidate, the candidate and its image, which is opened once for all of its patches.

    Args:
        candidates: patches in the order of :func:`find_candidates`, or some of them in any.
        mpp: see :class:`CandidateRule`.
        faults: gets a message for each image that can no longer be read; its patches are left out.
        name: of the progress bar.
        progress: whether to show one.
    """
    order = sorted(range(len(candidates)), key=lambda k: (candidates[k].source, k))
    opened: PatchSource | None = None
    at: Path | None = None
    try:
        for k in track(order, name, len(order), progress):
            candidate = candidates[k]
            if candidate.source != at:
                if opened is not None:
                    opened.close()
                opened, at = None, candidate.source
                try:
                    opened = open_source(at, mpp)
                except (ValueError, OSError) as error:
                    faults.append(_named(at, error))
            if opened is not None:
                yield k, candidate, opened
    finally:
        if opened is not None:
            opened.close()


def _files(source: Any, faults: list[str], leave_out: Sequence[Path]) -> tuple[list[Path], Path]:
    """Images and slides, each once, and the folder that their paths are told apart below."""
    files: list[Path] = []
    for part in [source] if isinstance(source, (str, Path)) else source:
        path = Path(part)
        if path.is_dir():
            files += [p for p in visible_files(path, faults, leave_out=leave_out) if _is_image(p)]
        elif path.is_file():
            files.append(path)
        elif matches := sorted(glob.glob(os.path.expanduser(str(part)), recursive=True)):
            files += [p for p in map(Path, matches) if p.is_file() and _is_image(p)]
        else:
            raise FileNotFoundError(f"{shown(str(path))}: no such file or folder, expected patches, images or slides")
    once = one_per_series(sorted({os.path.realpath(p): p for p in reversed(files)}.values()))
    if not once:
        more = f"; {faults[0]}" if faults else ""
        raise FileNotFoundError(f"{shown(str(source))}: found no image and no slide in it{more}")
    base = Path(source) if isinstance(source, (str, Path)) and Path(source).is_dir() else None
    return once, base or Path(os.path.commonpath([os.path.abspath(p.parent) for p in once]))


def _is_image(path: Path) -> bool:
    return suffix(path) in IMAGE_SUFFIXES or is_slide_name(path)


def _of_image(entry: dict[str, Any], name: str, rule: CandidateRule) -> list[Candidate]:
    path, group, (height, width) = entry["image"], str(entry["group"]), rule.size
    if not is_slide(path):
        size = image_size(path)
        if all(side <= _WHOLE * most for side, most in zip(size, rule.size, strict=True)):
            return [Candidate(path, name, group, (0, 0, *size), whole=True)]
    opened = open_source(path, rule.mpp)
    try:
        # in the middle of the image, if it is smaller than a whole number of patches
        tops, lefts = (
            range((side % step) // 2 if side >= step else 0, max(1, side - step + 1), step)
            for side, step in zip(opened.size, rule.size, strict=True)
        )
        boxes = [(top, left, height, width) for top in tops for left in lefts]
        boxes = [box for box in boxes if opened.tissue(*box) >= rule.min_tissue]
    finally:
        opened.close()
    region = "" if name == group else name
    return [Candidate(path, f"{name}_y{y}_x{x}", group, (y, x, h, w), region, False, (y, x)) for y, x, h, w in boxes]


def _drawn(found: list[Candidate], rule: CandidateRule) -> list[Candidate]:
    """At most so many, drawn evenly from the groups."""
    if len(found) <= rule.most:
        return found
    rng = np.random.default_rng(rule.seed)
    groups: dict[str, list[int]] = {}
    for k in rng.permutation(len(found)).tolist():
        groups.setdefault(found[k].group, []).append(k)
    rounds = sorted((number, group, k) for group, part in groups.items() for number, k in enumerate(part))
    logger.info("%d patches with tissue, %d of which are looked at; set most for more", len(found), rule.most)
    return [found[k] for k in sorted(k for _, _, k in rounds[: rule.most])]


def _named(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if shown(path) in text else f"{shown(path)}: {text or type(error).__name__}"
