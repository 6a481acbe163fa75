"""Networks as TorchScript: by scripting, or by tracing where a network cannot be scripted."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

__all__ = ["add_texts", "read_torchscript", "write_torchscript"]

logger = logging.getLogger(__name__)

# refused by PyTorch with several pages of code: what it says first is the reason
_WORDS = 200


def write_torchscript(network: nn.Module, path: Path, example: torch.Tensor) -> dict[str, str]:
    """Write a network for images of any number and size.

    Args:
        network: in evaluation mode, on the CPU.
        path: the file.
        example: images ``(N, 3, H, W)`` to trace with.

    Returns:
        ``{"made_by": "scripting" or "tracing"}``.

    Raises:
        ValueError: it can be neither scripted nor traced.
    """
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the future of TorchScript
        try:
            module, made_by = torch.jit.script(network), "scripting"
        except Exception as error:  # whatever the compiler makes of a network of one's own
            logger.info("%s cannot be scripted, and is traced: %s", type(network).__name__, _first(error))
            try:
                module, made_by = torch.jit.trace(network, example), "tracing"
            except Exception as error:
                raise ValueError(f"{type(network).__name__} can be neither scripted nor traced: {_first(error)}") from error
        torch.jit.save(module, str(path))
    return {"made_by": made_by}


def add_texts(path: Path, texts: Mapping[str, str]) -> None:
    """Write texts into a TorchScript file, which ``torch.jit.load`` gives by ``_extra_files``.

    Args:
        path: the file; its name without ending becomes that of the folder within it, ``<name>/extra/<key>``.
        texts: by their names.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.load(str(path), map_location="cpu"), str(path), _extra_files=dict(texts))


def read_torchscript(path: Path, device: torch.device | str = "cpu") -> nn.Module:
    """Read a TorchScript file, and freeze it for inference.

    Args:
        path: a file whose origin is known, as TorchScript is a program.
        device: where it runs.

    Raises:
        ValueError: not readable as TorchScript.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.jit.freeze(torch.jit.load(str(path), map_location=device).eval())
    except RuntimeError as error:
        raise ValueError(f"{path}: not readable as TorchScript: {_first(error)}") from error


def _first(error: Exception) -> str:
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:_WORDS]
