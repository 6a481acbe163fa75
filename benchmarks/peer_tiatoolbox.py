"""TIAToolbox's half of peer_slides.py, in an environment of its own that has tiatoolbox and nothing of this bundle.

    python peer_tiatoolbox.py slide.tif network.ts folder settings.json

Writes ``folder/<slide>.geojson`` and ``folder/labels.npy`` (its label map), and prints seconds and looks as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import dask
import numpy as np
import torch
from tiatoolbox.models.engine import semantic_segmentor
from tiatoolbox.models.engine.io_config import IOSegmentorConfig
from tiatoolbox.models.models_abc import ModelABC


class Traced(ModelABC):
    """A traced network that gives probabilities of images in [0, 1], and counts its seconds and pixels."""

    seconds, pixels = 0.0, 0

    def __init__(self, path: str) -> None:
        super().__init__()
        self.network = torch.jit.load(path).eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities ``(N, C, H, W)``."""
        return self.network(images)

    @staticmethod
    def infer_batch(model: torch.nn.Module, batch_data: torch.Tensor, *, device: str) -> np.ndarray:
        """Probabilities ``(N, H, W, C)`` of windows ``(N, H, W, 3)`` uint8."""
        images = batch_data.to(device).permute(0, 3, 1, 2).float().div_(255)  # channels last, as this bundle's
        with torch.inference_mode():
            start = time.thread_time()
            maps = model(images)
            Traced.seconds += time.thread_time() - start
        Traced.pixels += images.shape[0] * images.shape[2] * images.shape[3]
        return maps.permute(0, 2, 3, 1).numpy()

    @staticmethod
    def postproc(image: Any) -> Any:
        """The likeliest class."""
        return image.argmax(-1)


def main(slide: str, network: str, folder: str, settings: str) -> None:
    """Segment the slide on one thread."""
    found = json.loads(settings)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    dask.config.set(scheduler="synchronous")
    export = semantic_segmentor.dict_to_store_semantic_segmentor

    def kept(patch_output: dict[str, Any], *arguments: Any, **keywords: Any) -> Any:
        np.save(Path(folder) / "labels.npy", np.asarray(patch_output["predictions"], np.uint8))
        return export(patch_output, *arguments, **keywords)

    semantic_segmentor.dict_to_store_semantic_segmentor = kept
    resolution = [{"units": "mpp", "resolution": found["mpp"]}]
    window, stride = ((found[key],) * 2 for key in ("window", "stride"))
    io = IOSegmentorConfig(
        input_resolutions=resolution, output_resolutions=resolution, save_resolution=resolution[0],
        patch_input_shape=window, patch_output_shape=window, stride_shape=stride,
    )  # fmt: skip
    engine = semantic_segmentor.SemanticSegmentor(Traced(network), batch_size=found["batch"], device="cpu", verbose=False)
    began = time.process_time()
    engine.run(
        [Path(slide)], patch_mode=False, ioconfig=io, save_dir=Path(folder) / "run", overwrite=True, output_type="qupath",
        class_dict=dict(enumerate(found["classes"])), scale_factor=(found["mpp"] / found["slide_mpp"],) * 2, device="cpu",
    )  # fmt: skip
    total = time.process_time() - began
    next((Path(folder) / "run").rglob("*.json")).replace(Path(folder) / f"{Path(slide).stem}.geojson")
    print(json.dumps({
        "cpu_seconds": round(total, 1), "network_seconds": round(Traced.seconds, 1),
        "outside": round(1 - Traced.seconds / total, 4), "megapixels_seen": round(Traced.pixels / 1e6, 2),
    }))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
