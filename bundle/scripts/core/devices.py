"""Where networks can run on this machine."""

from __future__ import annotations

from typing import Any

import torch

from .ranges import shown

__all__ = ["checked_device", "known_devices"]


def known_devices() -> list[str]:
    """Names of the devices that are there, the CPU first."""
    names = ["cpu"]
    for kind in ("cuda", "xpu"):
        backend = getattr(torch, kind, None)
        if backend is not None and backend.is_available():
            names += [f"{kind}:{index}" for index in range(backend.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names


def checked_device(value: Any) -> torch.device:
    """A device by its name, its number among the GPUs, or itself, if it is there.

    Raises:
        ValueError: no device, or one that this machine does not have; the message says which it has.
    """
    known = known_devices()
    try:
        device = torch.device(f"cuda:{value}" if isinstance(value, int) and not isinstance(value, bool) else value)
    except (RuntimeError, TypeError, ValueError):
        device = None
    name = device and (device.type if device.type in ("cpu", "mps") else f"{device.type}:{device.index or 0}")
    if name not in known:
        found = shown(value if not isinstance(value, torch.device) else str(value))
        hint = "" if len(known) > 1 else " (a GPU needs its driver, and a build of PyTorch for it)"
        raise ValueError(f"found {found}, expected a device of this machine: {', '.join(known)}{hint}")
    return device
