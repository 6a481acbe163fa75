"""Feature extractors: a network that gives its named intermediate feature maps, so that backbones are interchangeable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

__all__ = ["FeatureExtractor", "ModuleExtractor"]


class FeatureExtractor(nn.Module):
    """Base of all backbones: maps an image to named feature maps.

    A subclass fills :attr:`channels` and :attr:`strides`, both from shallow to deep, and its ``forward`` takes an image
    ``(N, 3, H, W)`` in ``[0, 1]`` and returns ``{layer: (N, channels[layer], ceil(H / strides[layer]), ...)}``. Any
    normalisation is its own affair, so that a classifier and a segmenter on different backbones share their input. It
    passes each map through :meth:`emit` and goes on with what that returns.
    """

    __jit_unused_properties__ = ("layers", "cam_layers", "normalisation")

    def __init__(self) -> None:
        super().__init__()
        #: Number of channels per layer.
        self.channels = {}
        #: Input pixels per feature pixel, per layer.
        self.strides = {}
        self._leaf = ""

    def emit(self, features: dict[str, torch.Tensor], layer: str, feature: torch.Tensor) -> torch.Tensor:
        """Put a map into ``features`` and return it, cut from the graph if gradients start there."""
        if layer == self._leaf:
            feature = feature.detach().requires_grad_()
        features[layer] = feature
        return feature

    @contextmanager
    def gradient_from(self, layer: str | None) -> Iterator[None]:
        """Inside, the map of ``layer`` is a leaf that requires a gradient: backward passes end there, and what lies
        before it keeps no activations if parameters and image require none."""
        if layer is not None:
            self.check_layers([layer])
        self._leaf = layer or ""
        try:
            yield
        finally:
            self._leaf = ""

    @property
    def layers(self) -> tuple[str, ...]:
        """Layer names from shallow to deep."""
        return tuple(self.channels)

    @property
    def cam_layers(self) -> tuple[str, ...]:
        """Layers whose class activation maps are looked at unless others are named, shallow to deep."""
        return self.layers[-3:]

    @property
    def normalisation(self) -> dict[str, list[float]]:
        """``mean`` and ``std`` of each channel that ``forward`` normalises an image in [0, 1] by."""
        own = {name: getattr(self, name, None) for name in ("mean", "std")}  # buffers, where there are any
        plain = {"mean": [0.0] * 3, "std": [1.0] * 3}
        return {k: plain[k] if v is None else v.flatten().expand(3).tolist() for k, v in own.items()}

    def check_layers(self, layers: Sequence[str]) -> None:
        """Refuse layers that this extractor does not have.

        Raises:
            ValueError: a name is unknown; the message lists the known ones.
        """
        unknown = [name for name in layers if name not in self.channels]
        if unknown:
            raise ValueError(f"{type(self).__name__} has no layer {unknown}; its layers are {list(self.layers)}")


class ModuleExtractor(FeatureExtractor):
    """Wraps any network whose named submodules give the features, such as MONAI's ResNet.

    Args:
        module: network that takes ``(N, 3, H, W)``.
        layers: dotted names of its submodules, shallow to deep, as in ``module.named_modules()``.
        mean: mean of the normalisation for an image in ``[0, 1]``, one value or three.
        std: standard deviation of the normalisation.
        probe: side in px of the image that is sent through once to learn channels and strides.

    Raises:
        ValueError: a layer is no submodule, or gives no feature map.
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[str],
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        probe: int = 64,
    ) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).reshape(-1, 1, 1), persistent=False)
        modules = dict(module.named_modules())
        missing = [name for name in layers if name not in modules]
        if missing:
            raise ValueError(f"{type(module).__name__} has no submodule {missing}; it has {sorted(modules)[1:]}")
        self._features: dict[str, torch.Tensor] = {}
        for name in layers:
            # a bound method, unlike a closure, is copied along with the extractor
            modules[name].register_forward_hook(partial(self._keep, name))
        self.channels = dict.fromkeys(layers, 0)
        training = module.training
        with torch.no_grad():
            features = self.eval()(torch.zeros(1, 3, probe, probe))
        module.train(training)
        for name, feature in features.items():
            if feature.ndim != 4:
                raise ValueError(f"layer {name!r} gives shape {tuple(feature.shape)}, expected a map (N, C, H, W)")
            self.channels[name] = feature.shape[1]
            self.strides[name] = round(probe / feature.shape[-1])

    def _keep(self, name: str, _module: nn.Module, _inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        return self.emit(self._features, name, output)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return ``{layer: feature map}`` for an image ``(N, 3, H, W)`` in ``[0, 1]``."""
        self._features = {}
        self.module((image - self.mean) / self.std)
        features, self._features = self._features, {}
        return {name: features[name] for name in self.channels}
