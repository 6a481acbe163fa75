"""Files as the published program and MXNet write them."""

from __future__ import annotations

import struct

import numpy as np
import torch

TYPES = {np.dtype("float32"): 0, np.dtype("float64"): 1, np.dtype("float16"): 2, np.dtype("uint8"): 3, np.dtype("int32"): 4}


def array_bytes(array: np.ndarray, version: str) -> bytes:
    """One NDArray as MXNet writes it: before 0.10 (legacy), until 1.0 (V1), since (V2)."""
    head = {"legacy": b"", "v1": struct.pack("<I", 0xF993FAC8), "v2": struct.pack("<Ii", 0xF993FAC9, 0)}[version]
    wide = "I" if version == "legacy" else "q"
    shape = struct.pack(f"<I{array.ndim}{wide}", array.ndim, *array.shape)
    return head + shape + struct.pack("<iii", 1, 0, TYPES[array.dtype]) + array.tobytes()


def write_params(path, arrays: dict[str, np.ndarray], version: str = "v2"):
    data = struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(array_bytes(a, version) for a in arrays.values())
    data += struct.pack("<Q", len(arrays))
    data += b"".join(struct.pack("<Q", len(name.encode())) + name.encode() for name in arrays)
    path.write_bytes(data)
    return path


def published_names(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The network's state under the names of the published checkpoints."""
    parts = {"class_head.": "fc8.", "pyramid.pooled.0": "aspp.global_avg_pool.1", "pyramid.pooled.1": "aspp.global_avg_pool.2",
             "pyramid.project.0": "aspp.conv1", "pyramid.project.1": "aspp.bn1", "reduce.0": "decoder.conv1",
             "reduce.1": "decoder.bn1", "decoder.0.0": "decoder.last_conv.0", "decoder.0.1": "decoder.last_conv.1",
             "decoder.2.0": "decoder.last_conv.4", "decoder.2.1": "decoder.last_conv.5", "decoder.4": "decoder.last_conv.8",
             **{f"pyramid.branches.{i}.{j}": f"aspp.aspp{i + 1}.{n}" for i in range(4) for j, n in enumerate(("atrous_conv", "bn"))},
             "extractor.": "backbone." if hasattr(network, "pyramid") else ""}  # fmt: skip
    result = {}
    for name, value in network.state_dict().items():
        own = next(part for part in parts if name.startswith(part))
        result[parts[own] + name.removeprefix(own)] = value.clone()
    return result
