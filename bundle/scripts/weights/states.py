"""State dicts from files that nobody vouches for: tensors alone are read, and those that a network can take are kept."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

__all__ = ["fitting", "read_checkpoint", "tensors"]

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_MORE = "it holds more than tensors, and running its code is refused"


def read_checkpoint(path: str | Path) -> Any:
    """What ``torch.save`` has put into a file, as far as it is tensors, numbers, texts, lists and mappings. No code is run.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder, an empty or damaged file, another kind of file, or one that holds more; the message names it.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: found a folder, expected a file of weights")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    reason = _unreadable(path)
    if reason is None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's, about what is refused here
                return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file can raise anything
            # torch's own words tell the reader to load it without the guard
            more = any(word in str(error) for word in ("Unsupported global", "Unsupported class", "Can only build"))
            reason = _MORE if more else "it is damaged, cut short, or of another kind"
    raise ValueError(
        f"{path}: not a readable file of weights ({reason}); "
        "expected tensors as torch.save writes them; copy it anew from its source"
    )


def _unreadable(path: Path) -> str | None:
    """Why a file is not even tried; ``None``: it is."""
    size = path.stat().st_size
    if size == 0:
        return "it is empty"
    with path.open("rb") as file:
        start = file.read(4)
    if start != b"PK\x03\x04":
        return None  # as torch wrote before 1.6
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return "it is cut short or damaged"
    names = {Path(entry.filename).name for entry in entries}
    if "data.pkl" not in names:
        return "it is a zip archive of other files"
    if "constants.pkl" in names:
        return "it is an exported program (TorchScript), " + _MORE
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(e.file_size for e in entries) > size:
        return "it claims more than it holds, as torch does not compress"
    return None


def tensors(content: Any, path: str | Path) -> dict[str, torch.Tensor]:
    """A state dict, if content is one.

    Raises:
        ValueError: it is not: no mapping of names to tensors, or one whose tensors are sparse, quantised, or without values.
    """
    if not isinstance(content, Mapping) or not content:
        found = type(content).__name__ if not isinstance(content, Mapping) else "none"
        raise ValueError(f"{path}: expected a state dict of tensors by their names, found {found}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            found = f"{type(value).__name__} under {name!r:.80}"
            raise ValueError(f"{path}: expected a state dict of tensors by their names, found {found}")
        if value.is_nested or value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            raise ValueError(f"{path}: {name}: found a sparse, quantised or empty tensor, expected one of plain values")
    return dict(content)


def fitting(
    state: Mapping[str, torch.Tensor],
    own: Mapping[str, torch.Tensor],
    path: str | Path,
    what: str,
    needed: Collection[str],
) -> dict[str, torch.Tensor]:
    """The entries of a state dict in the types that a network has them in.

    Args:
        state: as :func:`tensors` gives it.
        own: state dict of the network. What is not finite in it from the start means something and may stay so.
        path: file named in errors.
        what: what the state dict should have been, for errors.
        needed: names that it must hold.

    Raises:
        ValueError: entries that are missing, unknown, of another shape, no floats where the network has floats (no whole
            numbers where it has these), not finite, or variances below zero.
    """
    missing, surplus = sorted(set(needed) - set(state)), sorted(set(state) - set(own))
    both = [name for name in own if name in state]
    shapes = [
        f"{name}: found {tuple(state[name].shape)}, expected {tuple(own[name].shape)}"
        for name in both
        if state[name].shape != own[name].shape
    ]
    types = [
        f"{name}: found {_word(state[name])}, expected {_word(own[name])}"
        for name in both
        if not _same_kind(state[name].dtype, own[name].dtype)
    ]
    if missing or surplus or shapes or types:
        raise ValueError(
            f"{path} {what}: {len(missing)} entries missing {missing[:3]}, {len(surplus)} unknown {surplus[:3]}, "
            f"{len(shapes)} of another shape {shapes[:3]}" + (f", {len(types)} of another type {types[:3]}" if types else "")
        )
    found = {name: state[name].detach().to(own[name].dtype) for name in both}
    bad = [name for name, value in found.items() if not value.isfinite().all() and own[name].isfinite().all()]
    if bad:
        raise ValueError(f"{path}: values that are not finite in {len(bad)} entries {bad[:3]}")
    negative = [name for name, value in found.items() if name.endswith("running_var") and (value < 0).any()]
    if negative:
        raise ValueError(f"{path}: variances below zero in {len(negative)} entries {negative[:3]}")
    return found


def _same_kind(found: torch.dtype, own: torch.dtype) -> bool:
    return next((found in kinds for kinds in (_FLOATS, _WHOLE) if own in kinds), found == own)


def _word(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
