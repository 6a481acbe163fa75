"""Files as the published program and MXNet write them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

TYPES = {np.dtype("float32"): 0, np.dtype("float64"): 1, np.dtype("float16"): 2, np.dtype("uint8"): 3, np.dtype("int32"): 4}
# a sixteenth of the width: the shape of the paper's networks at a fraction of their cost
NARROW = {
    "train_classifier": {"extractor#width": 1 / 16},
    "train": {
        "extractor#width": 1 / 16,
        "extractor#blocks": [1, 1, 1, 3],
        "network_def#channels": 16,
        "network_def#low_channels": 8,
    },
}


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


def mxnet_names(network: torch.nn.Module) -> dict[str, np.ndarray]:
    """The state of ResNet-38 under MXNet's names, with the head of the 1000 ImageNet classes."""
    kinds = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}
    result = {"arg:linear1000_weight": np.zeros((3, 4), np.float32), "arg:linear1000_bias": np.zeros(3, np.float32)}
    for name, value in network.extractor.state_dict().items():
        block, _, rest = name.partition(".")
        if rest.endswith("num_batches_tracked"):
            continue
        if block in ("conv1a", "bn7"):
            new = f"{block}_{kinds[rest] if block == 'bn7' else rest}"
        else:
            layer, kind = rest.split(".")
            what, branch = layer.split("_")
            number, _, index = block.removeprefix("b").partition("_")
            new = f"{'res' if what == 'conv' else 'bn'}{number}{f'b{index}' if index else 'a'}_{branch}_"
            new += kind if what == "conv" else kinds[kind]
        result[("aux:" if "moving" in new else "arg:") + new] = value.numpy()
    return result


def write_narrow_recipe(folder: Path) -> Path:
    """The paper's recipe on narrow networks, as a folder."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("extends: paper\n")
    for stage, settings in NARROW.items():
        (folder / f"{stage}.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    return folder
