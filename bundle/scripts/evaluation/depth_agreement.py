"""How far pseudo masks of different depths agree, class by class, and the patches that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..core.facts import DatasetFacts
from ..core.masks import read_mask
from ..core.names import pseudo_mask_paths
from ..core.progress import track

__all__ = ["PatchAgreement", "agreement_figures", "agreement_of", "chosen_patches", "patch_agreement"]


@dataclass(frozen=True)
class PatchAgreement:
    """What the depths say of one patch.

    Args:
        name: name of the patch.
        label: C numbers, 0 or 1.
        tissue: pixels that any depth gives to a class.
        agreed: of these, pixels that all depths give to the same one.
        all_depths: ``(C,)`` pixels that all depths give to a class.
        any_depth: ``(C,)`` pixels that any depth gives to it.
        pairs: ``(P, C, 2)`` of each pair of depths, pixels that both give to a class, and that either does.
    """

    name: str
    label: tuple[int, ...]
    tissue: int
    agreed: int
    all_depths: np.ndarray
    any_depth: np.ndarray
    pairs: np.ndarray

    def share(self, k: int) -> float:
        """Agreement on class ``k`` in [0, 1]; 0 where no depth finds it."""
        return float(self.all_depths[k] / max(1, self.any_depth[k]))


def patch_agreement(name: str, label: Sequence[int], masks: np.ndarray) -> PatchAgreement:
    """Compare the masks of one patch.

    Args:
        name: name of the patch.
        label: C numbers, 0 or 1.
        masks: ``(L, H, W)`` class indices; what is no class is white background.
    """
    classes, couples = len(label), list(combinations(range(len(masks)), 2))
    everywhere, anywhere = np.zeros((2, classes), np.int64)
    pairs = np.zeros((len(couples), classes, 2), np.int64)
    for k in np.unique(masks[masks < classes]).tolist():
        own = masks == k
        everywhere[k], anywhere[k] = own.all(axis=0).sum(), own.any(axis=0).sum()
        pairs[:, k] = [[(own[a] & own[b]).sum(), (own[a] | own[b]).sum()] for a, b in couples]
    tissue = int((masks < classes).any(axis=0).sum())
    named = tuple(int(v) for v in label)
    return PatchAgreement(name, named, tissue, int(everywhere.sum()), everywhere, anywhere, pairs)


def agreement_of(
    entries: Sequence[Mapping[str, Any]],
    folder: str | Path,
    layers: Sequence[str],
    facts: DatasetFacts,
    progress: bool = True,
) -> list[PatchAgreement]:
    """Compare the depths' pseudo masks of every patch whose label names several classes: where it names one, every depth
    gives all tissue to it, and they cannot differ.

    Args:
        entries: with ``name`` and ``label``; patches without all of their masks are left out.
        folder: folder of the pseudo masks.
        layers: the depths, two or more.
        facts: facts of the dataset.
        progress: whether to show a progress bar.

    Raises:
        ValueError: a mask that cannot be read, or that is of another size than that of another depth.
    """
    found = []
    several = [entry for entry in entries if sum(entry["label"]) > 1] if len(layers) > 1 else []
    for entry in track(several, "agreement of depths", len(several), progress):
        paths = pseudo_mask_paths(folder, layers, entry["name"])
        if all(Path(path).is_file() for path in paths):
            masks = [read_mask(path, facts.num_classes) for path in paths]
            for path, mask in zip(paths, masks, strict=True):
                if mask.shape != masks[0].shape:
                    raise ValueError(f"{path}: found {mask.shape} px (H, W), expected {masks[0].shape} as {paths[0]} has")
            found.append(patch_agreement(entry["name"], entry["label"], np.stack(masks)))
    return found


def agreement_figures(patches: Sequence[PatchAgreement], layers: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Agreement over all patches, pixels counted together. It is no score: depths may agree on what is wrong.

    Args:
        patches: the patches.
        layers: the depths.
        classes: C names.

    Returns:
        ``layers``; ``patches``: how many were compared; ``tissue``: share of the tissue that all depths give to the same
        class; ``classes``: of each class the share of the pixels that any depth gives to it that all do; ``pairs``: the same
        for each pair of depths. Shares are in [0, 1], or ``None`` where there is nothing to share.
    """
    names = [f"{a}/{b}" for a, b in combinations(layers, 2)]
    empty = np.zeros((len(names), len(classes), 2), np.int64)
    pairs = sum((patch.pairs for patch in patches), empty)
    everywhere = sum((patch.all_depths for patch in patches), np.zeros(len(classes), np.int64))
    anywhere = sum((patch.any_depth for patch in patches), np.zeros(len(classes), np.int64))

    def shares(parts: np.ndarray, wholes: np.ndarray) -> dict[str, float | None]:
        return {name: _share(part, whole) for name, part, whole in zip(classes, parts, wholes, strict=True)}

    return {
        "layers": list(layers),
        "patches": len(patches),
        "tissue": _share(sum(p.agreed for p in patches), sum(p.tissue for p in patches)),
        "classes": shares(everywhere, anywhere),
        "pairs": {name: shares(pair[:, 0], pair[:, 1]) for name, pair in zip(names, pairs, strict=True)},
    }


def chosen_patches(
    patches: Sequence[PatchAgreement], entries: Sequence[Mapping[str, Any]], classes: Sequence[str], most: int
) -> dict[str, list[str]]:
    """Patches that show each class where the depths are surest of it, least sure, and where they disagree on most pixels.

    Surest is the highest agreement on the class, least sure the lowest; they disagree most where most pixels are given to
    the class by some depths and not by all. Of equals it is the patch with more of the class, then the first by name. A
    class that is named alone wherever it is named is shown by the first of these patches.

    Args:
        patches: as :func:`agreement_of` gives them.
        entries: all patches that have pseudo masks, with ``name`` and ``label``.
        classes: C names.
        most: patches at most; those of every class's surest come first.

    Returns:
        Names of patches, class by class, and why each is there.
    """
    rounds: list[list[tuple[int, str, str]]] = [[], [], []]
    for k, name in enumerate(classes):
        own = [patch for patch in patches if patch.label[k]]
        alone = [entry["name"] for entry in entries if entry["label"][k]]
        if not own:
            rounds[0] += [(k, patch, f"{name}: its label names nothing else") for patch in sorted(alone)[:1]]
            continue
        orders = (
            ("the depths are surest", _ordered(own, k, [-patch.share(k) for patch in own])),
            ("the depths are least sure", _ordered(own, k, [patch.share(k) for patch in own])),
            ("the depths disagree on most pixels", _ordered(own, k, [p.all_depths[k] - p.any_depth[k] for p in own])),
        )
        taken: set[str] = set()
        for number, (why, order) in enumerate(orders):
            left = next((patch for patch in order if patch.name not in taken), None)
            if left is not None:
                taken.add(left.name)
                rounds[number].append((k, left.name, f"{name}: {why} (agreement {100 * left.share(k):.0f}\u00a0%)"))
    return _merged(rounds, most)


def _ordered(patches: Sequence[PatchAgreement], k: int, keys: Sequence[float]) -> list[PatchAgreement]:
    """Patches by their keys, lowest first; of equals those with more of class ``k``, then by name."""
    pairs = zip(keys, patches, strict=True)
    return [patch for _, patch in sorted(pairs, key=lambda pair: (pair[0], -int(pair[1].any_depth[k]), pair[1].name))]


def _merged(rounds: Sequence[Sequence[tuple[int, str, str]]], most: int) -> dict[str, list[str]]:
    """Reasons per patch, class by class, of the first so many patches, round by round."""
    allowed: dict[str, None] = {}
    for _, patch, _ in (choice for some in rounds for choice in some):
        if patch in allowed or len(allowed) < most:
            allowed[patch] = None
    found: dict[str, list[str]] = {}
    for _, patch, why in sorted((choice for some in rounds for choice in some), key=lambda choice: choice[0]):
        if patch in allowed:
            found.setdefault(patch, []).append(why)
    return found


def _share(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None
