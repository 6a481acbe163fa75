"""Whether an exported graph gives what PyTorch gives: the same probabilities, and the same classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

__all__ = ["LIMITS", "agreement", "check_agreement"]

#: Largest difference of a probability that an export may have, and least share of the pixels whose likeliest class must be
#: the same; of whole numbers of 8 bits, which round, what those that score like float32 have, with some room.
LIMITS = {"torchscript": (1e-4, 0.9999), "onnx": (1e-4, 0.9999), "onnx_int8": (0.5, 0.97)}
_BATCH = 8
# cut off a patch so that its sides are no multiple of any stride
_CUT = 5, 11


def agreement(
    exported: Callable[[torch.Tensor], torch.Tensor],
    network: Callable[[torch.Tensor], torch.Tensor],
    patches: torch.Tensor,
    probabilities: Callable[[torch.Tensor], torch.Tensor],
) -> dict[str, Any]:
    """Compare a graph with the network that it was made of: on batches, on one image, on one of odd sides, and on
    one of twice the size.

    Args:
        exported: the graph.
        network: the network, in evaluation mode.
        patches: ``(N, 3, H, W)`` in [0, 1].
        probabilities: what makes probabilities of either's output.

    Returns:
        ``patches``; ``sizes``: (height, width) of what was looked at; ``largest_difference`` of a probability;
        ``equal_argmax``: share of the pixels (of a classifier: of the images) whose likeliest class is the same; ``pixels``.
    """
    odd = patches[:1, :, : max(1, patches.shape[2] - _CUT[0]), : max(1, patches.shape[3] - _CUT[1])]
    twice = patches[:1].repeat(1, 1, 2, 2)
    largest, equal, total = 0.0, 0, 0
    with torch.inference_mode():
        for batch in (*patches.split(_BATCH), patches[:1], odd, twice):
            found, expected = probabilities(exported(batch)), probabilities(network(batch))
            largest = max(largest, float((found - expected).abs().nan_to_num(1.0).max()))
            same = found.argmax(dim=1) == expected.argmax(dim=1)
            equal, total = equal + int(same.sum()), total + same.numel()
    return {
        "patches": len(patches),
        "sizes": [list(images.shape[2:]) for images in (patches, odd, twice)],
        "largest_difference": largest,
        "equal_argmax": equal / total,
        "pixels": total,
    }


def check_agreement(figures: dict[str, Any], name: str, form: str, by_pixel: bool = True) -> None:
    """Refuse an export that gives something else than PyTorch.

    Args:
        figures: see :func:`agreement`.
        name: of the file, for the message.
        form: a key of :data:`LIMITS`.
        by_pixel: whether likeliest classes count, which those of a multi-label classifier do not.

    Raises:
        ValueError: it differs by more, or in more pixels, than its form may.
    """
    difference, equal = LIMITS[form]
    if (
        by_pixel and form == "onnx_int8"
    ):  # where rounding moves a border or a gate, a pixel changes wholly: how many do, counts
        difference = 1.0
    if figures["largest_difference"] > difference or (by_pixel and figures["equal_argmax"] < equal):
        raise ValueError(
            f"{name}: not what PyTorch gives on {figures['patches']} patches: found probabilities that differ by up to "
            f"{figures['largest_difference']:.2g}, {100 * figures['equal_argmax']:.3f} % of the likeliest classes the same; "
            f"expected at most {difference:g} and at least {100 * equal:g} %; the file was not written"
        )
