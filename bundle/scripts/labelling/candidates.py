"""Which patches could be labelled: those of a folder, and those that can be cut from images and slides with tissue."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.image_files import visible_files
from ..core.images import IMAGE_SUFFIXES, suffix
from ..core.names import unique_names
from ..core.paths import shown
from ..core.progress import track
from ..data.groups import assign_groups
from ..slides.slide_files import is_slide_name, one_per_series
from .patch_sources import PatchSource, is_slide, open_source

__all__ = ["Candidate", "CandidateRule", "each_source", "find_candidates"]

logger = logging.getLogger(__name__)

# what names of files have on no system, or not on all
_STRANGE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


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
    min_tissue: float = 0.5
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
    files = _files(source, faults, leave_out)
    groups = _groups(files, rule.group)
    found: list[Candidate] = []
    for path, name in track(list(zip(files, unique_names(list(files)), strict=True)), "tissue", len(files), progress):
        try:
            found += _of_image(path, groups[path], name, rule)
        except (ValueError, OSError) as error:
            faults.append(_named(path, error))
    if not found:
        read = len(files) - len(faults)
        if read <= 0 and faults:
            raise ValueError("\n".join([f"{shown(str(source))}: none of its files can be read", *faults]))
        raise ValueError(
            f"{shown(str(source))}: found no patch of {rule.size[0]} x {rule.size[1]} px of which {rule.min_tissue:.0%} is "
            f"tissue in {read} images; set a smaller patch_size or min_tissue"
        )
    return _drawn(_named_apart(found), rule), faults


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


def _files(source: Any, faults: list[str], leave_out: Sequence[Path]) -> dict[Path, Path]:
    """Images and slides, each once, sorted, and the folder that their paths are told apart below."""
    base: dict[Path, Path] = {}
    for part in [source] if isinstance(source, (str, Path)) else source:
        path = Path(part).expanduser()
        matches = [] if path.exists() else [Path(p) for p in sorted(glob.glob(str(path), recursive=True))]
        if not path.exists() and not matches:
            raise FileNotFoundError(f"{shown(str(path))}: no such file or folder, expected patches, images or slides")
        found: list[Path] = []
        for place in matches or [path]:
            if place.is_dir():
                found += [p for p in visible_files(place, faults, leave_out=leave_out) if _is_image(p)]
            elif place == path or _is_image(place):
                found.append(place)
        if found:
            own = path if path.is_dir() else Path(os.path.commonpath([os.path.abspath(p.parent) for p in found]))
            base.update({p: own for p in found if p not in base})
    outside = [os.path.realpath(place) for place in leave_out]
    kept = [p for p in base if not any(Path(os.path.realpath(p)).is_relative_to(place) for place in outside)]
    once = one_per_series(sorted({os.path.realpath(p): p for p in reversed(kept)}.values()))
    if not once:
        more = f"; {faults[0]}" if faults else ""
        raise FileNotFoundError(f"{shown(str(source))}: found no image and no slide in it{more}")
    return {p: base[p] for p in once}


def _is_image(path: Path) -> bool:
    return suffix(path) in IMAGE_SUFFIXES or is_slide_name(path)


def _groups(files: Mapping[Path, Path], pattern: re.Pattern[str] | None) -> dict[Path, str]:
    """Slide or case of each file; of several sources, those that have the same are told apart by their folders."""
    found: dict[Path, str] = {}
    for base in dict.fromkeys(files.values()):
        entries: list[dict[str, Any]] = [{"image": path} for path, own in files.items() if own == base]
        assign_groups({"slides": entries}, base, (), pattern)
        found.update({entry["image"]: str(entry["group"]) for entry in entries})
    of = {group: {files[path] for path in found if found[path] == group} for group in set(found.values())}
    found = {path: f"{files[path].name}/{group}" if len(of[group]) > 1 else group for path, group in found.items()}
    flat = len({path.parent for path in files}) == 1 and not any(map(is_slide_name, files))
    if flat and len(set(found.values())) == len(files) > 1:
        logger.info(
            "each image is taken for a slide of its own; --group REGEX, or a subfolder for each slide, tells otherwise"
        )
    return {path: found[path] for path in files}


def _of_image(path: Path, group: str, name: str, rule: CandidateRule) -> list[Candidate]:
    height, width = rule.size
    opened = open_source(path, rule.mpp)
    try:
        whole = opened.size == rule.size and not is_slide(path)
        # from the middle of the image, if it is no whole number of patches
        tops, lefts = (
            range((side % step) // 2 if side >= step else 0, max(1, side - step + 1), step)
            for side, step in zip(opened.size, rule.size, strict=True)
        )
        boxes = [(top, left, height, width) for top in tops for left in lefts]
        boxes = [box for box in boxes if opened.tissue(*box) >= rule.min_tissue]
    finally:
        opened.close()
    if whole:
        return [Candidate(path, name, group, box, whole=True) for box in boxes]
    region = "" if name == group else name
    return [Candidate(path, f"{name}_y{y}_x{x}", group, (y, x, h, w), region, False, (y, x)) for y, x, h, w in boxes]


def _named_apart(found: Sequence[Candidate]) -> list[Candidate]:
    """Candidates with names that every system can have for files, and tells apart."""
    taken: set[str] = set()
    named = []
    for candidate in found:
        plain = _STRANGE.sub("_", candidate.name).rstrip(". ") or "patch"
        name, number = plain, 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.casefold())
        named.append(replace(candidate, name=name))
    return named


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
