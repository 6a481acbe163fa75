"""Looks at everything, says it in a table, and fails over what was asked for alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from .asked import data, tracking, weights
from .finding import OK, Finding
from .installed import packages
from .machine import machine

__all__ = ["examine"]

logger = logging.getLogger(__name__)


def examine(
    output_dir: str, model_dir: str | None = None, dataset_dir: str | None = None, tracking_uri: str | None = None
) -> list[Finding]:
    """Find out what this machine has and lacks for each capability, and log it, a line for each.

    Args:
        output_dir: where results are to go.
        model_dir: folder of weights to look at, or ``None``.
        dataset_dir: prepared dataset, or images to segment, to look at, or ``None``.
        tracking_uri: store of MLflow's runs to look at, or ``None``.

    Returns:
        What was found.

    Raises:
        ValueError: weights, data or store that were named are not as they should be. The rest is for the person to judge.
    """
    found = [*machine(output_dir), *packages()]
    found += weights(model_dir) if model_dir is not None else []
    found += [data(dataset_dir)] if dataset_dir is not None else []
    found += [tracking(tracking_uri)] if tracking_uri is not None else []
    logger.info("what this machine has and lacks:\n%s", table(found))
    broken = [f for f in found if f.asked and f.state != OK]
    if broken:
        raise ValueError("\n".join(f"{f.what}: {f.found}" for f in broken))
    return found


def table(found: Sequence[Finding]) -> str:
    """Findings as text: state, thing, what was found, and what to do."""
    width = max(len(f.what) for f in found)
    return "\n".join(
        f"{f.state:<8} {f.what:<{width}}  {f.found}" + (f"\n{'':>{width + 9}}  -> {f.advice}" if f.advice else "")
        for f in found
    )
