"""A small model, its exports, and tissue that it sees all classes in."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from scripts import BUNDLE_ROOT
from scripts.networks.classifier import TissueClassifier
from scripts.networks.segmenter import DeepLabV3Plus
from scripts.weights.description import describe
from scripts.weights.files import save_weights
from small_slides import FACTS, drawn
from tiny import TinyExtractor

MISSING = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
NEEDS_ONNX = pytest.mark.skipif(bool(MISSING), reason=f"ONNX needs the packages {', '.join(MISSING)}")
#: Forms as parameters of a test.
EACH_FORM = pytest.mark.parametrize("form", ["torchscript", pytest.param("onnx", marks=NEEDS_ONNX)])
FORMS = ["torchscript"] if MISSING else ["torchscript", "onnx"]
OWN = [str(Path(__file__).parent / "tiny.py")]  # the networks
SIZE = 64


def unit(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))[None] / 255


def write_decided_models(folder: Path, seed: int = 1) -> Path:
    """A segmenter that is sure of one class here and of another there; a classifier whose second class is mostly gated."""
    torch.manual_seed(seed)
    classifier = TissueClassifier(TinyExtractor(), 3).eval()
    segmenter = DeepLabV3Plus(TinyExtractor(), 3, channels=8, low_channels=4, rates=(1, 2)).eval()
    image = unit(drawn()[:256, :256])
    with torch.no_grad():
        segmenter.decoder[-1].weight.mul_(300)
        segmenter.decoder[-1].bias -= segmenter(image).mean((0, 2, 3))
        classifier.class_head.weight.mul_(20)
    content = describe(classifier, "classifier", FACTS, (SIZE, SIZE), gate_threshold=0.3)
    save_weights(folder / "classifier.pt", classifier, content)
    scheme = {"flips": False, "window_scales": [1.0], "overlap": 0.25}
    save_weights(folder / "model.pt", segmenter, describe(segmenter, "segmenter", FACTS, (SIZE, SIZE), inference=scheme))
    return folder


def run_config(name: str, places: dict[str, Any], **settings: Any) -> None:
    """Run a config as the command does."""
    workflow = ConfigWorkflow(
        str(Path(BUNDLE_ROOT) / f"configs/{name}.yaml"), workflow_type=None, logging_file=False, progress=False, threads=1,
        own=OWN, **places, **settings,
    )  # fmt: skip
    workflow.initialize()
    workflow.run()


def export(models: Path, out: Path, **settings: Any) -> Path:
    """The folder of exports that the command has written."""
    run_config(
        "export", {"model_dir": str(models), "output_dir": str(out)}, **{"forms": FORMS, "num_patches": 4, **settings}
    )
    return out / "export"
