"""A prior for what share of a patch each of its tissues has, against maps that favour one of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["class_offsets", "standardise"]

_STEPS, _FIRST_STEP, _DECAY = 24, 0.4, 0.8
# patches from which on a class's mean share is trusted
_FEW = 32


def standardise(maps: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Maps of the present classes around their mean over these, in units of its root mean square over the patch.

    The arg-max stays as it is, and maps of different patches become comparable.

    Args:
        maps: ``(N, C, H, W)``.
        present: ``(N, C)`` image-level labels.

    Returns:
        ``(N, C, H, W)``; absent classes are zero.
    """
    named = present.to(maps.dtype)[:, :, None, None]
    centred = (maps - (maps * named).sum(dim=1, keepdim=True) / named.sum(dim=1, keepdim=True).clamp(min=1)) * named
    count = named.sum(dim=1, keepdim=True).clamp(min=1) * maps.shape[2] * maps.shape[3]
    scale = (centred.square().sum(dim=(1, 2, 3), keepdim=True) / count).sqrt()
    return centred / scale.clamp(min=1e-12)


def class_offsets(scores: Sequence[torch.Tensor], present: Sequence[torch.Tensor], prior: float) -> torch.Tensor:
    """What to add to each class's scores so that shares move towards equal ones.

    Image-level labels do not say how much of a patch each tissue fills, and a classifier need not care: its maps may give
    one tissue the borders of all others. Over many patches that a class shares with k - 1 others it can be expected to
    have about 1/k. The goal for its mean share lies between the one that the maps give it and that, at ``prior``.

    Args:
        scores: standardised maps of single patches with several classes, ``(C, P)`` for P pixels of tissue each.
        present: their image-level labels ``(C,)``.
        prior: 0 leaves shares as they are, 1 makes the mean ones equal; proportionally less for a class of fewer than 32
            patches, whose mean share says little.

    Returns:
        ``(C,)``, with a mean of zero over the classes that share patches; zero for the others.
    """
    pairs = [(score, p.bool()) for score, p in zip(scores, present, strict=True) if score.shape[1]]
    if not pairs:
        return torch.zeros(len(present[0]))
    named = torch.stack([p for _, p in pairs])
    counts = named.sum(dim=0)
    equal = (named / named.sum(dim=1, keepdim=True)).sum(dim=0) / counts.clamp(min=1)
    offsets = torch.zeros(named.shape[1], dtype=pairs[0][0].dtype)

    def shares() -> torch.Tensor:
        total = torch.zeros(len(offsets))
        for score, own in pairs:
            winner = (score + offsets[:, None]).masked_fill(~own[:, None], float("-inf")).argmax(dim=0)
            total += torch.bincount(winner, minlength=len(offsets)) / score.shape[1]
        return total / counts.clamp(min=1)

    first = shares()
    goal = first + prior * (counts / _FEW).clamp(max=1) * (equal - first)
    for step in range(_STEPS):
        offsets = offsets + _FIRST_STEP * _DECAY**step * torch.sign(goal - shares()) * (counts > 0)
    return torch.where(counts > 0, offsets - offsets[counts > 0].mean(), 0) if (counts > 0).any() else offsets
