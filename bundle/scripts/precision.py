"""Mixed precision on any device."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

__all__ = ["mixed_precision", "prefers_bfloat16"]


def prefers_bfloat16(device: torch.device | str) -> bool:
    """Whether a device multiplies bfloat16 in hardware, so that mixed precision is worth its rounding."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return False


def mixed_precision(device: torch.device | str, enabled: bool) -> AbstractContextManager:
    """Autocast to bfloat16, whose range is that of float32, so that no loss scaling is needed.

    Args:
        device: where the networks run.
        enabled: whether to do anything.
    """
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=enabled)
