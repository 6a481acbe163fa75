"""Mixed precision on any device."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from monai.inferers import SimpleInferer

__all__ = ["MixedPrecisionInferer", "mixed_precision", "prefers_bfloat16"]


def prefers_bfloat16(device: torch.device | str) -> bool:
    """Whether a device multiplies bfloat16 in hardware, so that mixed precision is worth its rounding."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
            return False
        if platform.machine().lower() not in {"x86_64", "amd64"}:
            return True
        # oneDNN counts AVX-512 processors that emulate it
        checks = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
        return any(check() for check in checks if check is not None)
    return False


def mixed_precision(device: torch.device | str, enabled: bool) -> AbstractContextManager:
    """Autocast to bfloat16, whose range is that of float32, so that no loss scaling is needed.

    Args:
        device: where the networks run.
        enabled: whether to do anything.
    """
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=enabled)


class MixedPrecisionInferer(SimpleInferer):
    """Runs a network under :func:`mixed_precision` and gives its outputs as float32.

    For training, where MONAI's own switch covers CUDA alone. The loss is computed outside, in full precision.

    Args:
        amp: whether to use mixed precision.
    """

    def __init__(self, amp: bool = True) -> None:
        super().__init__()
        self.amp = amp

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Output of ``network(inputs, *args, **kwargs)``: a tensor, or a mapping of tensors."""
        with mixed_precision(inputs.device, self.amp):
            output = network(inputs, *args, **kwargs)
        return {k: v.float() for k, v in output.items()} if isinstance(output, dict) else output.float()
