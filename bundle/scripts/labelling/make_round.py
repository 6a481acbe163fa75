"""From patches that could be labelled to a round that is written, and what to do now."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ..core.facts import DatasetFacts
from ..core.paths import shown
from .round_request import RoundRequest
from .source_looks import Pool
from .spread import choose_spread
from .write_round import write_round

__all__ = ["end", "make_round"]

logger = logging.getLogger(__name__)


def make_round(
    request: RoundRequest,
    folder: Path,
    facts: DatasetFacts,
    pool: Pool,
    commands: Sequence[str],
    more: bool = False,
) -> list[int]:
    """Choose patches, write the round, and log what it holds and what to do now.

    Args:
        request: how many patches, and how they are shown.
        folder: to be made.
        facts: of the dataset.
        pool: patches to choose from; where a model has seen them, the page shows its opinions when asked.
        commands: see :func:`~.next_commands.next_commands`.
        more: whether the first command is to name a dataset file, too.

    Returns:
        Numbers of the patches that were written, in their order.

    Raises:
        OSError: it cannot be written, or is there.
        ValueError: there is no patch, or none could be read.
    """
    groups = [candidate.group for candidate in pool.candidates]
    chosen = choose_spread(
        pool.looks.features, groups, request.count, pool.known, seed=request.seed, progress=request.progress
    )
    picked = [pool.candidates[k] for k in chosen.numbers]
    opinions = None if pool.looks.probability is None else pool.looks.probability[chosen.numbers]
    rule = request.round_rule()
    written = write_round(folder, picked, chosen.looks, facts, rule, pool.faults, opinions, commands, request.progress)
    numbers = [chosen.numbers[k] for k in written]
    passed = f"; {chosen.alike} that look like others were passed over" if chosen.alike else ""
    slides = len({groups[k] for k in numbers})
    logger.info("%s: %d patches of %d slides or cases%s", shown(folder), len(numbers), slides, passed)
    if len(numbers) < request.count:
        logger.warning("%d patches were asked for; the others look like these, or there are no more", request.count)
    logger.info(
        "open %s in a browser, answer, and save labels.csv beside it; then:\n%s%s",
        shown(folder / "label.html"),
        commands[0],
        "\n  (with the dataset file after pipeline.yaml, whose settings of the stages count)" if more else "",
    )
    return numbers


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
