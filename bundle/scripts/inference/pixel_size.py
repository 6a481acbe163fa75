"""How large an image's pixels are, whose word counts, and whether the image is brought to the pixels of the weights."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from ..core.geometry import Geometry, as_mpp, read_geometry, shown_mpp
from ..core.images import MAX_PIXELS

__all__ = ["PixelSize", "ResamplingBatch", "Scaled", "Scaling"]

logger = logging.getLogger(__name__)

#: An image whose pixels differ by no more than this share from those of the weights is taken as it is.
TOLERANCE = 0.05
#: An image whose pixels are so many times larger or smaller shows nothing of what the weights know: its pixel size is wrong.
FARTHEST = 32


@dataclass(frozen=True, eq=False)
class Scaling:
    """What is done with one image.

    Args:
        geometry: where it lies, and the pixel size that counts.
        source: who says the pixel size: ``"setting"``, ``"list"`` or ``"file"``; ``""``: nobody.
        size: (height, width) in px at the pixel size of the weights; ``None``: it is not resampled.
        contradicts: pixel size (y, x) in µm/px that the file states, where somebody else's counts and differs.
    """

    geometry: Geometry
    source: str = ""
    size: tuple[int, int] | None = None
    contradicts: tuple[float, float] | None = None


@dataclass(frozen=True)
class PixelSize:
    """Which pixel size counts for an image: that of the setting, of its list, of its file, in this order.

    An image that differs from the weights by more than 5 % is resampled for the network, its maps are brought back.

    Args:
        weights: µm/px that the networks were trained at, if known.
        mpp: µm/px of all images, square or (y, x), by setting.
        resample: whether images are resampled; if not, one that differs is refused.
        told: warnings that were given, each once.

    Raises:
        ValueError: ``mpp`` is no pixel size, differs while ``resample`` is off, or is more than 32 times larger or smaller
            than that of the weights.
    """

    weights: float | None
    mpp: float | Sequence[float] | None = None
    resample: bool = True
    told: set[str] = field(default_factory=set, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.mpp is not None:
            self._check(as_mpp(self.mpp, "mpp"), "mpp")

    def of(
        self, size: tuple[int, int], geometry: Geometry, listed: tuple[float, float] | None = None, where: str = "image"
    ) -> Scaling:
        """What is done with an image.

        Args:
            size: (height, width) in px.
            geometry: as its file states it.
            listed: pixel size (y, x) in µm/px by the datalist or table that lists it.
            where: the image, for messages.

        Raises:
            ValueError: it differs while ``resample`` is off, by more than 32 times, or would become too large.
        """
        setting = None if self.mpp is None else as_mpp(self.mpp, "mpp")
        words = {"setting": setting, "list": listed, "file": geometry.mpp}
        source = next((name for name, mpp in words.items() if mpp is not None), "")
        if not source:
            return Scaling(geometry)
        mpp, contradicts = words[source], geometry.mpp
        if contradicts is None or not _differs(mpp, contradicts):
            contradicts = None
        placed = replace(geometry, mpp=mpp)
        if self.weights is None or not _differs(mpp, (self.weights, self.weights)):
            return Scaling(placed, source, None, contradicts)
        self._check(mpp, where)
        height, width = (max(1, round(side * m / self.weights)) for side, m in zip(size, mpp, strict=True))
        if height * width > MAX_PIXELS:
            raise ValueError(
                f"{where}: {size[0]} x {size[1]} px of {shown_mpp(mpp)} are {height} x {width} px at the weights' "
                f"{self.weights:g} µm/px, more than the {MAX_PIXELS} px that are segmented; cut the image into parts"
            )
        return Scaling(placed, source, (height, width), contradicts)

    def tell(self, scaling: Scaling, image: str) -> None:
        """Warn of what a person may not expect, once of each kind.

        Args:
            scaling: what is done with an image.
            image: its file.
        """
        if not scaling.source and self.weights is not None:
            self._warn(
                "unknown",
                f"{image}: nothing says its µm/px; it is taken at the weights' {self.weights:g} µm/px, and has no areas in "
                "mm² (nor have others like it). Say it by the setting mpp, by mpp in a list of images, or in the file",
            )
        elif scaling.source and self.weights is None:
            self._warn(
                "weights",
                f"{image}: has {shown_mpp(scaling.geometry.mpp)}, the weights do not say what they were trained at (mpp of "
                "the dataset): images are segmented as they are",
            )
        elif scaling.contradicts is not None:
            self._warn(
                "contradiction",
                f"{image}: its file says {shown_mpp(scaling.contradicts)}, the {scaling.source}'s "
                f"{shown_mpp(scaling.geometry.mpp)} counts (for others like it too)",
            )

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self.told:
            self.told.add(kind)
            logger.warning(text)

    def _check(self, mpp: tuple[float, float], where: str) -> None:
        if self.weights is not None and any(not 1 / FARTHEST <= m / self.weights <= FARTHEST for m in mpp):
            raise ValueError(
                f"{where}: found {shown_mpp(mpp)}, the weights are for {self.weights:g} µm/px, more than {FARTHEST} times "
                "apart; say the images' true pixel size by mpp, or take weights for it"
            )
        if not self.resample and self.weights is not None and _differs(mpp, (self.weights, self.weights)):
            raise ValueError(
                f"{where}: found {shown_mpp(mpp)}, the weights are for {self.weights:g} µm/px, and resample is off; set "
                "resample to true, or give images of that pixel size"
            )


class Scaled(MapTransform):
    """Finds out the pixel size of images that :class:`~scripts.data.ReadImaged` has read, as ``scaling``.

    An item's ``entry`` has the ``image``'s file, and ``mpp`` (y, x) where its list says it. The pixels are left alone.

    Args:
        keys: images, ``(3, H, W)`` tensors.
        pixel_size: whose word counts.

    Raises:
        ValueError: see :meth:`PixelSize.of`; where items have ``fault``, as :class:`~scripts.data.ReadImaged` marks them, it
            becomes the item's fault.
    """

    def __init__(self, keys: KeysCollection, pixel_size: PixelSize) -> None:
        super().__init__(keys)
        self.pixel_size = pixel_size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        output = dict(data)
        for key in self.key_iterator(output):
            output["scaling"] = Scaling(Geometry())
            if output.get("fault"):
                continue
            path, listed = output["entry"]["image"], output["entry"].get("mpp")
            try:
                size = tuple(output[key].shape[-2:])
                output["scaling"] = self.pixel_size.of(size, read_geometry(path), listed, path)
            except ValueError as error:
                if "fault" not in output:
                    raise
                output["fault"], output[key] = str(error), output[key][:, :1, :1]
        return output


class ResamplingBatch:
    """``prepare_batch`` of MONAI's evaluators that also hands :class:`MultiWindowInferer` the size to resample to.

    Args:
        prepare: gives image and target of a batch, which holds one image and its ``scaling``.
    """

    def __init__(self, prepare: Any) -> None:
        self.prepare = prepare

    def __call__(
        self, batch: Mapping[str, Any], *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None, tuple[()], dict[str, Any]]:
        (scaling,) = batch["scaling"]
        return (*self.prepare(batch, *args, **kwargs), (), {"size": scaling.size})


def _differs(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return any(abs(a / b - 1) > TOLERANCE for a, b in zip(one, other, strict=True))
