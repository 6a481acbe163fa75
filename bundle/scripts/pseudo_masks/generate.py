"""Pseudo masks of a datalist's patches, written as files and summarised; continued where they were interrupted."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine

from ..core.atomic import discard_unfinished, write_json, write_text
from ..core.image_writers import write_mask
from ..core.images import image_size, read_image
from ..core.names import VALIDATION, pseudo_mask_paths
from ..core.processes import is_main, shared_out, wait_for_all
from ..core.progress import EngineProgress, track
from .batches import alike_batches, decoded, several_classes
from .consensus import CONSENSUS, check_votes, is_placed, write_consensus
from .context import windows
from .masker import PseudoMasker
from .summary import MARK, SUMMARY, read_mark, summarise_pseudo_masks

__all__ = ["generate_pseudo_masks"]

logger = logging.getLogger(__name__)


def generate_pseudo_masks(
    masker: PseudoMasker,
    entries: Sequence[Mapping[str, Any]],
    folder: str | Path,
    fingerprint: str,
    batch_size: int = 16,
    progress: bool = True,
    num_workers: int = 2,
    consensus: Sequence[float] | None = None,
    validation: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Write the pseudo masks of a datalist's patches as palette PNGs, one folder per layer, and their summary.

    Patches are cut into the same batches whatever is there already, and a batch is skipped when all its files are, so
    that an interrupted run ends with the same bits as an unbroken one, and one of several processes, which share the batches
    out, as one of one. Patches of a batch have the same number of present classes, as their number of backward passes
    depends on it.

    Args:
        masker: the pseudo masker.
        entries: datalist entries with ``image``, ``label`` and ``name``.
        folder: target; what it holds of another ``fingerprint`` is moved to a folder beside it first.
        fingerprint: identifies classifier and settings.
        batch_size: patches per forward pass.
        progress: whether to show progress bars.
        num_workers: threads that decode the next patches and write the last masks while the network runs.
        consensus: weight of each layer's votes; a further layer ``consensus`` then holds what overlapping patches and all
            depths agree on (see :func:`~.consensus.write_consensus`).
        validation: further entries whose masks go to ``<folder>/validation``; those of ``entries`` do not depend on them.

    Returns:
        The summary (see :func:`summarise_pseudo_masks`), with that of the further entries, if there are any, under
        ``validation``; also written to ``<folder>/summary.json``. In other processes than the first one: nothing.

    Raises:
        ValueError: there are no patches, one has no class, a true mask has another size than its patch, or the votes do
            not fit the layers.
    """
    folder = Path(folder)
    sections = {folder: entries, **({folder / VALIDATION: validation} if validation else {})}
    for place, some in sections.items():
        _check(some, place)
    if consensus:
        check_votes(masker.outputs, consensus)
    layers = (*masker.outputs, CONSENSUS) if consensus else masker.outputs
    if masker.context and not any(is_placed(entry) for entry in entries):
        masker = copy(masker)
        masker.context = 0.0  # nothing is known of what surrounds a patch
    if is_main():
        _put_aside_if_other(folder, layers, fingerprint)
    measured = not masker.calibrated
    for place, some in sections.items():
        if is_main():
            for layer in layers:
                discard_unfinished(place / layer)
        wait_for_all()
        todo = [batch for batch in alike_batches(some, batch_size) if not _done(batch, place, masker.outputs)]
        wait_for_all()  # all have seen the same
        if todo and not measured:
            _calibrate(masker, entries, progress, num_workers)
            measured = True
        if mine := shared_out(todo):
            _run(masker, mine, some, place, progress, num_workers)
        wait_for_all()
        if consensus and is_main():
            write_consensus(some, place, masker.outputs, consensus, masker.facts, progress)
    if not is_main():
        return {}
    summaries = [summarise_pseudo_masks(some, place, layers, masker.facts, progress) for place, some in sections.items()]
    summary = {**summaries[0], **({VALIDATION: summaries[1]} if validation else {})}
    write_json(folder / SUMMARY, summary)
    return summary


def _check(entries: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Refuse what would end the work later, or make masks that say nothing."""
    if not entries:
        raise ValueError(f"no patches to make pseudo masks of for {folder}: the datalist's training section is empty")
    for entry in entries:
        if not any(entry["label"]):
            raise ValueError(f"{entry['image']}: found the label {list(entry['label'])}, expected at least one class")
        if entry.get("mask"):
            found, expected = image_size(entry["mask"]), image_size(entry["image"])
            if found != expected:
                raise ValueError(f"{entry['mask']}: found {found} px (H, W), expected its patch's {expected}")


def _run(
    masker: PseudoMasker,
    batches: Sequence[Sequence[Mapping[str, Any]]],
    placed: Sequence[Mapping[str, Any]],
    folder: Path,
    progress: bool,
    workers: int,
) -> None:
    with ThreadPoolExecutor(max(1, workers)) as pool:
        writing: list[Future] = []

        def step(_engine: Engine, batch: tuple[Sequence[Mapping[str, Any]], list[np.ndarray]]) -> None:
            entries, images = batch
            masks = masker(np.stack(images), np.array([entry["label"] for entry in entries]))
            _wait(writing)
            for entry, per_layer in zip(entries, masks, strict=True):
                for path, mask in zip(pseudo_mask_paths(folder, masker.outputs, entry["name"]), per_layer, strict=True):
                    writing.append(pool.submit(write_mask, path, mask, masker.facts))

        engine = Engine(step)
        EngineProgress("pseudo masks", progress).attach(engine)
        found = decoded(batches, pool, _reader(masker, placed))
        engine.run(found, max_epochs=1, epoch_length=len(batches))
        _wait(writing)


def _calibrate(masker: PseudoMasker, placed: Sequence[Mapping[str, Any]], progress: bool, workers: int) -> None:
    batches = shared_out(alike_batches(several_classes(placed), 16))
    with ThreadPoolExecutor(max(1, workers)) as pool:
        found = decoded(batches, pool, _reader(masker, placed))
        shown = track(found, "calibration", len(batches), progress)
        masker.calibrate((np.stack(images), np.array([e["label"] for e in entries])) for entries, images in shown)


def _reader(masker: PseudoMasker, placed: Sequence[Mapping[str, Any]]) -> Callable[[Mapping[str, Any]], np.ndarray]:
    """Patches with what surrounds them, as far as the masker looks."""
    return windows(placed, masker.context) if masker.context else lambda entry: read_image(entry["image"])


def _wait(writing: list[Future]) -> None:
    """Wait for writers, so that neither a fault is lost nor masks pile up."""
    for future in writing:
        future.result()
    writing.clear()


def _done(batch: Sequence[Mapping[str, Any]], folder: Path, layers: Sequence[str]) -> bool:
    return all(Path(p).is_file() for entry in batch for p in pseudo_mask_paths(folder, layers, entry["name"]))


def _put_aside_if_other(folder: Path, layers: Sequence[str], fingerprint: str) -> None:
    """Move pseudo masks of another fingerprint to a folder beside, which is named after it; they may have been corrected."""
    record = folder / MARK
    before = read_mark(folder)
    if before == fingerprint:
        return
    # with a record the folder is ours, and so are layers that the new masks do not have; the record goes last
    ours = [folder / name for name in (*layers, VALIDATION)]
    if record.is_file():
        ours = [p for p in folder.iterdir() if p.is_dir()]
    found = [path for path in (*ours, folder / SUMMARY, record) if path.exists()]
    if found:
        name = f"{folder.name}.{before[:8] or 'other'}"
        names = chain([name], (f"{name}.{number}" for number in count(2)))
        target = next(t for t in map(folder.with_name, names) if not any((t / path.name).exists() for path in found))
        target.mkdir(exist_ok=True)
        for path in found:
            os.replace(path, target / path.name)
        logger.info("the pseudo masks of before are kept as %s", target)
    write_text(record, fingerprint + "\n")
