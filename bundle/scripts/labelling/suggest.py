"""What to label next: new patches of all looks, what a model thinks of them, what labels promise (``suggest.yaml``)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core.facts import DatasetFacts, load_facts
from ..core.images import read_image
from ..data.datalist import read_datalist
from ..networks.extractor import FeatureExtractor
from .label_rounds import round_to_be
from .learning_curve import LearningCurve, learning_curve
from .looks import Onlooker, batched
from .make_round import end, make_round
from .next_commands import next_commands
from .round_request import RoundRequest
from .source_looks import look_at_source
from .suggestion_page import write_suggestion_page
from .write_round import check_classes

__all__ = ["Labelled", "labelled_so_far", "suggest_patches"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labelled:
    """What is labelled.

    Args:
        files: patches.
        labels: ``(N, C)`` of 0 and 1.
        groups: slide or case of each.
        curve: what the labels have brought; ``None`` where that cannot be told.
    """

    files: list[str]
    labels: np.ndarray
    groups: list[str]
    curve: LearningCurve | None


def labelled_so_far(dataset_dir: str | Path | None, facts: DatasetFacts, extractor: FeatureExtractor, seed: int = 0,
                    device: torch.device | str = "cpu", amp: bool = False) -> Labelled:  # fmt: skip
    """The labelled patches of a prepared dataset, those that train and those that validate, and their learning curve.

    Args:
        dataset_dir: the dataset; ``None``: nothing is labelled that is not in a round.
        facts: of the model.
        extractor: a backbone that has seen no label of these.
        seed: seed of the curve.
        device: where.
        amp: in mixed precision.

    Raises:
        ValueError: a dataset of other classes than the model's.
    """
    if dataset_dir is None:
        return Labelled([], np.zeros((0, facts.num_classes), int), [], None)
    entries = [e for section in ("training", "validation") for e in read_datalist(dataset_dir, section)]
    entries = [e for e in entries if e.get("label") is not None]
    classes = load_facts(dataset_dir).classes
    if classes != facts.classes:
        raise ValueError(
            f"{dataset_dir}: its classes are {list(classes)}, the model's {list(facts.classes)}; give its own dataset"
        )
    files, labels = [e["image"] for e in entries], np.array([e["label"] for e in entries], int)
    groups = [str(e.get("group") or e["image"]) for e in entries]
    if not entries:
        return Labelled([], np.zeros((0, facts.num_classes), int), [], None)
    looks = Onlooker(extractor, device=device, amp=amp)(
        batched((read_image(f) for f in files), facts.patch_size or (224, 224))
    )
    return Labelled(files, labels, groups, learning_curve(looks.features, labels, groups, seed))


def suggest_patches(
    request: RoundRequest,
    facts: DatasetFacts,
    extractor: FeatureExtractor,
    classifier: nn.Module,
    labelled: Labelled,
    patch_size: Sequence[int],
    dataset_dir: str | Path | None = None,
    model_dir: str | Path | None = None,
) -> Path:
    """Write the next round: patches of all looks and slides, none like one that is labelled, with the model's opinions; and
    a page that says what labels have brought and promise.

    They are chosen as the first round's are. Patches that the model is in doubt about taught less, by validation regions
    (``benchmarks/experiments.md``).

    Args:
        request: of which patches, where to, and how they are shown.
        facts: of the model.
        extractor: sees looks.
        classifier: trained: ``(N, 3, H, W)`` in [0, 1] to logits ``(N, C)``.
        labelled: what it was trained on; none like it is chosen.
        patch_size: (height, width) in px of the patches that it was trained on.
        dataset_dir: of what is labelled, for the next commands, as ``model_dir``.
        model_dir: folder of its weights.

    Returns:
        The page to label on; ``suggest.html`` is beside it.

    Raises:
        FileNotFoundError: no source.
        ValueError: no tissue, nothing that is new, or settings that do not fit.
        BlockingIOError: another process makes a round there.
        SystemExit: something could not be read; the pages of all else are written.
    """
    facts = replace(facts, patch_size=tuple(patch_size))
    check_classes(facts)
    with round_to_be(request.label_dir, facts, "suggest.yaml") as (folder, facts):
        onlooker = Onlooker(extractor, classifier, request.device, request.amp)
        pool = look_at_source(request, facts, onlooker, labelled.files)
        commands = next_commands(request.source, request.label_dir, dataset_dir, model_dir)
        numbers = make_round(request, folder, facts, pool, commands)
        probability = pool.looks.probability
        suggestions: list[dict[str, Any]] = [
            {"name": pool.candidates[k].name, "group": pool.candidates[k].group, "opinion": probability[k]} for k in numbers
        ]
        page = write_suggestion_page(folder, facts, labelled, suggestions, probability, commands, request.seed)
        logger.info("%s: what labels have brought and promise", page)
        end(pool.faults, folder)
        return folder / "label.html"
