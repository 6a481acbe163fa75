"""The bundle from Python: a folder of weights, and what it says of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser

from ..core.errors import root_cause
from ..core.facts import DatasetFacts
from ..core.geometry import Geometry, read_geometry
from ..core.images import check_value_range, read_image
from ..core.own import load_own
from ..core.paths import BUNDLE_ROOT, shown
from ..core.pictures import class_areas, overlay
from ..core.settings import checked_overrides
from ..pseudo_masks.hierarchical_masker import make_masker
from .certainty import certainty
from .pixel_size import PixelSize
from .predict import label_map

__all__ = ["Segmentation", "TissueModel", "load_model"]

# keys of inference.yaml that say what a model gives
_SETTINGS = (
    "gated",
    "quality",
    "gate_threshold",
    "flips",
    "turned",
    "window_scales",
    "overlap",
    "temperature",
    "batch_size",
    "amp",
    "form",
    "export_dir",
    "providers",
    "resample",
    "value_range",
    "own",
)


@dataclass(frozen=True)
class Segmentation:
    """What a model says of an image.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        label_map: ``(H, W)`` uint8; value ``k`` is ``facts.classes[k]``, ``facts.white_value`` white background.
        probabilities: ``(C, H, W)`` float32 in [0, 1], averaged over windows and flips; gated classes count as zero, so that
            they need not sum to one.
        facts: classes, palette, white background.
        mpp: µm/px of the image, (y, x) where its pixels are not square; ``None``: unknown.
        temperature: of the probabilities, for :attr:`certainty`.
    """

    image: np.ndarray = field(repr=False)
    label_map: np.ndarray = field(repr=False)
    probabilities: np.ndarray = field(repr=False)
    facts: DatasetFacts
    mpp: float | tuple[float, float] | None
    temperature: float = 1.0

    @property
    def areas(self) -> dict[str, dict[str, Any]]:
        """``{class: {"pixels": n, "percent": share of all tissue, "mm2": area}}``; ``mm2`` where µm/px is known."""
        return class_areas(self.label_map, self.facts, self.mpp)

    @property
    def certainty(self) -> np.ndarray:
        """How far the likeliest class of each pixel is above the second, ``(H, W)`` float32 in [0, 1]; see
        :func:`~scripts.inference.certainty.certainty`. It says nothing of white background, which is found by brightness."""
        return certainty(torch.from_numpy(self.probabilities), self.temperature).numpy()

    def overlay(self, alpha: float = 0.4) -> np.ndarray:
        """The label map in its colours over the image, ``(H, W, 3)`` uint8.

        Args:
            alpha: opacity of the colours, in [0, 1].
        """
        return overlay(self.image, self.label_map, self.facts, alpha=alpha)


class TissueModel:
    """A segmenter and its classifier, used as ``inference.yaml`` uses them: the same label map in every pixel.

    Args:
        model_dir: folder of weights and their descriptions.
        device: where the networks run; a GPU if there is one by default.
        settings: keys of ``inference.yaml``: ``gated``, ``quality``, ``gate_threshold``, ``flips``, ``turned``,
            ``window_scales``, ``overlap``, ``temperature``, ``batch_size``, ``amp``, ``form`` with ``export_dir`` and
            ``providers`` (exported networks), ``resample``, ``value_range``, and ``own`` (Python files of one's own
            networks).

    Raises:
        FileNotFoundError: no weights.
        ValueError: weights that nothing describes, or that do not fit their description; an unknown setting, or one of
            another kind or out of range; a device that is not there.
    """

    def __init__(self, model_dir: str | Path, device: torch.device | str | None = None, **settings: Any) -> None:
        if unknown := sorted(set(settings) - set(_SETTINGS)):
            raise ValueError(f"found the settings {unknown}, expected some of {list(_SETTINGS)}")
        load_own(settings.get("own"))
        parser, config = ConfigParser(), str(Path(BUNDLE_ROOT) / "configs" / "inference.yaml")
        parser.read_config(config)
        settings["model_dir"] = str(model_dir)
        if device is not None:
            settings["device"] = device
        for key, value in checked_overrides("inference", [config], settings).items():
            parser[key] = value
        try:
            self.device: torch.device = parser.get_parsed_content("device")
            self.facts: DatasetFacts = parser.get_parsed_content("facts")
            self.network = parser.get_parsed_content("network").eval()
            self.inferer = parser.get_parsed_content("inferer")
            self.form: str = parser.get_parsed_content("form")
            self._value_range = parser.get_parsed_content("value_range")
            self._pixel_size: PixelSize = parser.get_parsed_content("pixel_size")
            self.temperature: float = parser.get_parsed_content("temperature")
            self.patch_size: tuple[int, int] = tuple(parser.get_parsed_content("patch_size"))
        except RuntimeError as error:  # MONAI's, around ours
            raise root_cause(error) from None
        if self._value_range is not None:
            check_value_range(self._value_range)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the tissues, in channel order."""
        return self.facts.classes

    def segment(self, image: np.ndarray | str | Path, mpp: float | Sequence[float] | None = None) -> Segmentation:
        """Segment an image of any size.

        An image whose pixels differ in size from the training patches' by more than 5 % is resampled for the networks; label
        map and probabilities are brought back to its own pixels. One of unknown pixel size is taken at theirs.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, or a file (see :func:`~scripts.core.read_image`).
            mpp: µm/px of the image, or (y, x); that which its file states by default (see
                :func:`~scripts.core.geometry.read_geometry`).

        Raises:
            FileNotFoundError: no such file.
            ValueError: not an RGB image of 8 bits; no pixel size, or one that differs from the training patches' where the
                model was loaded with ``resample=False``.
        """
        pixels, is_file = self._pixels(image), not isinstance(image, np.ndarray)
        geometry, where = (read_geometry(image), shown(image)) if is_file else (Geometry(), "image")
        pixel_size = self._pixel_size if mpp is None else replace(self._pixel_size, mpp=mpp)
        scaling = pixel_size.of(pixels.shape[:2], geometry, where=where)
        pixel_size.tell(scaling, where)
        with torch.inference_mode():
            probabilities = self.inferer(self._batch(pixels), self.network, size=scaling.size)[0].float()
        mask, found = label_map(probabilities, pixels, self.facts, scaling.size), scaling.geometry.mpp
        size = found[0] if found and found[0] == found[1] else found
        return Segmentation(pixels, mask, probabilities.cpu().numpy(), self.facts, size, self.temperature)

    def classify(self, patch: np.ndarray | str | Path) -> dict[str, float]:
        """What the classifier sees in a patch: ``{class: probability}``, as the gate takes it.

        Args:
            patch: as for :meth:`segment`; of about the size of the training patches (:attr:`patch_size`).

        Raises:
            ValueError: a model without gate has no classifier.
        """
        self._need_classifier()
        with torch.inference_mode():
            probability = self.network.look(self._batch(self._pixels(patch)))["classes"][0]
        return dict(zip(self.classes, probability.tolist(), strict=True))

    def class_activation_maps(self, patch: np.ndarray | str | Path) -> dict[str, np.ndarray]:
        """Where in a patch the classifier sees each class: ``{layer: (C, H, W) float32}``, all classes taken for present.

        Maps of one layer can be compared between classes; between layers they have other units.

        Args:
            patch: as for :meth:`classify`.

        Raises:
            ValueError: a model without gate has no classifier, and exported networks give no maps.
        """
        self._need_classifier()
        if self.form != "pytorch":
            raise ValueError(f"form {self.form}: an export has no maps within; load the model with form='pytorch'")
        masker = make_masker(self.network.classifier, None, self.facts, flips=self.network.flips, device=self.device)
        maps = masker.maps(self._batch(self._pixels(patch)), torch.ones(1, len(self.classes), dtype=torch.bool))
        return {layer: cam[0].float().cpu().numpy() for layer, cam in maps.items()}

    def _need_classifier(self) -> None:
        if self.network.classifier is None:
            raise ValueError("loaded with gated=False, without the classifier; load it with gated=True")

    def _pixels(self, image: np.ndarray | str | Path) -> np.ndarray:
        if isinstance(image, (str, Path)):
            return read_image(image, value_range=self._value_range)
        if not isinstance(image, np.ndarray):
            found = f"{type(image).__module__}.{type(image).__qualname__}"
            raise ValueError(f"expected an image (H, W, 3) uint8 of NumPy, or the path of a file, found {found}")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"expected an image (H, W, 3) uint8, found {image.shape} {image.dtype}")
        return image

    def _batch(self, pixels: np.ndarray) -> torch.Tensor:
        image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float().div(255)[None]
        return image.to(self.device, memory_format=torch.channels_last)


def load_model(model_dir: str | Path, device: torch.device | str | None = None, **settings: Any) -> TissueModel:
    """Load a folder of weights; see :class:`TissueModel`."""
    return TissueModel(model_dir, device, **settings)
