"""A folder of weights as ``mlflow.pyfunc.load_model`` gives it; MLflow finds this module by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..inference.model import load_model

__all__ = ["PyfuncSegmenter"]


class PyfuncSegmenter:
    """Segments an image as ``inference.yaml`` does.

    Args:
        model_dir: folder of weights and their descriptions.
        settings: ``device`` and ``quality`` of :func:`~scripts.inference.load_model`; ``None``: as by default.
    """

    def __init__(self, model_dir: str | Path, settings: Mapping[str, Any] | None = None) -> None:
        self.model = load_model(model_dir, **{k: v for k, v in (settings or {}).items() if v is not None})

    def predict(self, image: np.ndarray, params: Mapping[str, Any] | None = None) -> np.ndarray:
        """The label map of an image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            params: ``mpp``, µm/px of the image; 0: that of the training patches.

        Returns:
            ``(H, W)`` uint8; the model's metadata says which class a value is.

        Raises:
            ValueError: not such an image, or a pixel size that is out of range.
        """
        mpp = (params or {}).get("mpp") or self.model.facts.mpp
        return self.model.segment(np.asarray(image), mpp=mpp).label_map


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> PyfuncSegmenter:
    """What MLflow calls."""
    return PyfuncSegmenter(path, model_config)
