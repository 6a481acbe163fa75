"""What is asked of a round, whoever chooses its patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..core.facts import DatasetFacts
from ..data.groups import compiled
from .candidates import CandidateRule
from .write_round import RoundRule

__all__ = ["RoundRequest"]


@dataclass(frozen=True)
class RoundRequest:
    """A round that is asked for.

    Args:
        source: see :func:`~.candidates.find_candidates`.
        label_dir: folder of the rounds; patches of earlier ones, and those like them, are not chosen again.
        count: patches to choose.
        min_tissue: see :class:`~.candidates.CandidateRule`, as ``most``.
        most: patches that are looked at.
        group: pattern of the slide or case.
        context: see :class:`~.write_round.RoundRule`, as ``repeat``.
        repeat: one in so many comes again.
        seed: seed of all choices.
        device: where to look.
        amp: in mixed precision.
        progress: whether to show progress bars.
    """

    source: str | Path | Sequence[str] | None
    label_dir: str | Path
    count: int = 100
    min_tissue: float = 0.5
    most: int = 5000
    group: str | None = None
    context: float = 3.0
    repeat: int = 20
    seed: int = 0
    device: torch.device | str = "cpu"
    amp: bool = False
    progress: bool = True

    def candidate_rule(self, facts: DatasetFacts) -> CandidateRule:
        """Which patches are candidates, of the size and µm/px of the facts.

        Raises:
            ValueError: a pattern of the group that is none.
        """
        return CandidateRule(
            facts.patch_size, facts.mpp, self.min_tissue, self.most, self.seed, compiled(self.group, "group")
        )

    def round_rule(self) -> RoundRule:
        """How they are shown."""
        return RoundRule(self.context, self.repeat, self.seed)
