"""From unlabelled tissue to a page to label patches on (``label.yaml``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.arguments import arguments
from ..core.facts import DatasetFacts
from ..networks.extractor import FeatureExtractor
from .label_rounds import round_to_be
from .looks import Onlooker
from .make_round import end, make_round
from .next_commands import next_commands
from .round_request import RoundRequest
from .source_looks import look_at_source
from .write_round import check_classes

__all__ = ["facts_to_label", "label_patches"]

_SIDE = 224  # px of the patches where nothing is said


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
    request: RoundRequest,
    facts: DatasetFacts,
    extractor: FeatureExtractor,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Choose patches and write the next round: tissue alone, of all slides and looks, none like another.

    Args:
        request: of which patches, where to, and how they are shown.
        facts: see :func:`facts_to_label`.
        extractor: sees looks.
        settings: of the stages, of a dataset file: the next command is then told to name that, too.

    Returns:
        The page.

    Raises:
        FileNotFoundError: no source.
        ValueError: no tissue, nothing that is new, or settings that do not fit.
        BlockingIOError: another process makes a round there.
        SystemExit: something could not be read; the page of all else is written.
    """
    with round_to_be(request.label_dir, facts, "label.yaml") as (folder, facts):
        pool = look_at_source(request, facts, Onlooker(extractor, device=request.device, amp=request.amp))
        commands = next_commands(request.source, request.label_dir)
        make_round(request, folder, facts, pool, commands, more=bool(settings))
        end(pool.faults, folder)
        return folder / "label.html"
