"""From unlabelled tissue to a page to label patches on (``label.yaml``)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.arguments import arguments
from ..core.facts import DatasetFacts
from ..core.images import read_image
from ..core.paths import shown
from ..data.groups import compiled
from ..networks.extractor import FeatureExtractor
from .candidates import Candidate, CandidateRule, each_source, find_candidates
from .label_rounds import check_alike, find_rounds, pixel_digest, round_to_be
from .looks import Looks, Onlooker, batched
from .next_commands import next_commands
from .spread import choose_spread
from .write_round import RoundRule, check_classes, write_round

__all__ = ["Pool", "end", "facts_to_label", "label_patches", "look_at_source", "said_at_end"]

logger = logging.getLogger(__name__)

_SIDE = 224  # px of the patches where nothing is said


@dataclass(frozen=True)
class Pool:
    """Patches that could be labelled, and what was seen in them.

    Args:
        candidates: patches that were in no round before.
        looks: of each.
        faults: a message for each thing that could not be read.
    """

    candidates: list[Candidate]
    looks: Looks
    faults: list[str]


def facts_to_label(
    dataset: Mapping[str, Any],
    classes: Sequence[str] | str | None = None,
    patch_size: int | Sequence[int] | None = None,
    mpp: float | None = None,
) -> DatasetFacts:
    """Facts of what is to be labelled.

    Args:
        dataset: facts of a dataset file; what follows counts above them.
        classes: names of the tissues to ask for, a list, or divided by commas.
        patch_size: side, or (height, width), of the patches in px; 224 by default.
        mpp: µm/px of the patches.

    Raises:
        ValueError: no classes, or facts that do not fit.
    """
    given = arguments(DatasetFacts, dataset, "dataset")
    if classes:
        names = classes.strip("[]() ").split(",") if isinstance(classes, str) else [str(name) for name in classes]
        given = {
            k: v for k, v in given.items() if k not in ("classes", "palette", "descriptions", "mask_values", "published")
        }
        given["classes"] = [name.strip() for name in names]
    if not given.get("classes"):
        raise ValueError("classes: found none, expected the tissues to ask for: --classes \"['tumour', 'stroma']\"")
    if patch_size is not None or given.get("patch_size") is None:
        side = patch_size or _SIDE
        given["patch_size"] = [side, side] if isinstance(side, int) else list(side)
    if mpp is not None:
        given["mpp"] = mpp
    facts = DatasetFacts.from_dict(given, "label.yaml")
    check_classes(facts)
    return facts


def label_patches(
    source: str | Path | Sequence[str] | None,
    label_dir: str | Path,
    facts: DatasetFacts,
    extractor: FeatureExtractor,
    count: int = 200,
    min_tissue: float = 0.5,
    most: int = 5000,
    group: str | None = None,
    context: float = 3.0,
    repeat: int = 20,
    seed: int = 0,
    device: torch.device | str = "cpu",
    amp: bool = False,
    progress: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Choose patches and write the next round: tissue alone, of all slides and looks, none like another.

    Args:
        source: see :func:`~.candidates.find_candidates`.
        label_dir: folder of the rounds; patches of earlier ones, and those like them, are not chosen again.
        facts: see :func:`facts_to_label`.
        extractor: sees looks.
        count: patches to choose.
        min_tissue: see :class:`~.candidates.CandidateRule`, as ``most`` and ``group``.
        most: patches that are looked at.
        group: pattern of the slide or case.
        context: see :class:`~.write_round.RoundRule`, as ``repeat``.
        repeat: one in so many comes again.
        seed: seed of all choices.
        device: where to look.
        amp: in mixed precision.
        progress: whether to show progress bars.
        settings: of the stages, of a dataset file: the next command is then told to name that, too.

    Returns:
        The page.

    Raises:
        FileNotFoundError: no source.
        ValueError: no tissue, nothing that is new, or settings that do not fit.
        BlockingIOError: another process makes a round there.
        SystemExit: something could not be read; the page of all else is written.
    """
    with round_to_be(label_dir, facts, "label.yaml") as (folder, facts):
        rule = CandidateRule(facts.patch_size, facts.mpp, min_tissue, most, seed, compiled(group, "group"))
        onlooker = Onlooker(extractor, device=device, amp=amp)
        pool, known = look_at_source(source, label_dir, facts, rule, onlooker, (), progress)
        groups = [candidate.group for candidate in pool.candidates]
        chosen = choose_spread(pool.looks.features, groups, count, known, seed=seed)
        picked = [pool.candidates[k] for k in chosen.numbers]
        commands = next_commands(source, label_dir)
        shown_as = RoundRule(context, repeat, seed)
        written = write_round(folder, picked, chosen.looks, facts, shown_as, pool.faults, None, commands, progress)
        groups = [picked[k].group for k in written]
        said_at_end(folder, groups, chosen.alike, count, commands[0], bool(settings))
        end(pool.faults, folder)
        return folder / "label.html"


def look_at_source(
    source: str | Path | Sequence[str] | None,
    label_dir: str | Path,
    facts: DatasetFacts,
    rule: CandidateRule,
    onlooker: Onlooker,
    labelled: Sequence[str | Path] = (),
    progress: bool = True,
) -> tuple[Pool, np.ndarray | None]:
    """Look at the patches of a source and at those that are labelled.

    Args:
        source: see :func:`~.candidates.find_candidates`.
        label_dir: folder of the rounds.
        facts: with the patch size.
        rule: which patches are candidates.
        onlooker: looks.
        labelled: files of further patches that are labelled.
        progress: whether to show progress bars.

    Returns:
        What is new, and the features ``(M, D)`` of what is not, if there is any.

    Raises:
        FileNotFoundError: no source.
        ValueError: no tissue, nothing that is new, or earlier rounds of other classes, patch size or µm/px.
    """
    if source is None:
        raise ValueError("source: found none, expected a folder of patches, images or slides: --source FOLDER")
    before = find_rounds(label_dir) if Path(label_dir).is_dir() else []
    check_alike(before, facts)
    files = [*[r.folder / name for r in before for name in r.patches], *map(Path, labelled)]
    digests: set[str] = set()
    known = None
    files = [path for path in files if path.is_file()]
    if files:
        known = onlooker(batched(_read(files, digests), facts.patch_size)).features
    candidates, faults = find_candidates(source, rule, [r.folder for r in before], progress)
    new: list[Candidate] = []

    def patches() -> Iterator[np.ndarray]:
        for _, candidate, opened in each_source(candidates, rule.mpp, faults, "looks", progress):
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
        text = f"{shown(str(source))}: all of its {len(candidates)} patches are labelled, or in a round, already"
        raise ValueError("\n".join([text, *faults]))
    return Pool(new, looks, faults), known


def said_at_end(folder: Path, groups: Sequence[str], alike: int, wanted: int, command: str, more: bool = False) -> None:
    """Log what was written, of the groups of the patches, and what to do now."""
    passed = f"; {alike} that look like others were passed over" if alike else ""
    logger.info("%s: %d patches of %d slides or cases%s", shown(folder), len(groups), len(set(groups)), passed)
    if len(groups) < wanted:
        logger.warning("%d patches were asked for; the others look like these, or there are no more", wanted)
    logger.info(
        "open %s in a browser, answer, and save labels.csv beside it; then:\n%s%s",
        shown(folder / "label.html"),
        command,
        "\n  (with the dataset file after pipeline.yaml, whose settings of the stages count)" if more else "",
    )


def end(faults: Sequence[str], folder: Path) -> None:
    """Name what was skipped.

    Raises:
        SystemExit: something was.
    """
    if faults:
        once = list(dict.fromkeys(faults))
        raise SystemExit(
            "\n".join([f"{len(once)} files or patches were skipped, all others are in {shown(folder)}:", *once])
        )


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
