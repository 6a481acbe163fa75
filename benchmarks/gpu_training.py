"""The default networks' training as their configs have it, loader included, for measurement."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch
from default_networks import CONFIGS, plain_gradients
from monai.bundle import ConfigParser
from scripts import BUNDLE_ROOT
from scripts.training.engines import PrepareBatch

__all__ = ["Training"]


class Training:
    """Epochs of a stage: reading, augmentation, forward and backward pass, optimiser; no validation, no files written.

    Args:
        data: prepared dataset.
        device: where the network runs.
        plain: as a loop without this bundle's means: float32, contiguous layout, PyTorch's own gradients, and each patch
            read anew in this process.
        backend: of ``torch.compile``; ``None``: not compiled.
        kind: ``"classifier"`` or ``"segmenter"``; only the former has a loader here.
        settings: keys of the config.
    """

    def __init__(
        self,
        data: Path,
        device: torch.device,
        plain: bool = False,
        backend: str | None = None,
        kind: str = "classifier",
        **settings: Any,
    ) -> None:
        self.config = ConfigParser()
        self.config.read_config(str(Path(BUNDLE_ROOT) / "configs" / f"{CONFIGS[kind]}.yaml"))
        settings = {"amp": False, "cache_num": 0} | settings if plain else settings
        self.config.update({
            "dataset_dir": str(data), "device": str(device), "progress": False, "extractor#pretrained": False, **settings,
        })  # fmt: skip
        torch.manual_seed(0)
        self.device, self.plain, self.backend = device, plain, backend
        self._prepare = PrepareBatch("label", channels_last=not plain)
        self._ready = False

    def content(self, key: str) -> Any:
        """What the config has under a key."""
        return self.config.get_parsed_content(key)

    @property
    def patches(self) -> int:
        """Patches of an epoch."""
        self._build()
        return len(self.loader) * self.batch_size

    @property
    def batch_size(self) -> int:
        """Patches of a step."""
        return self.content("batch_size")

    def epoch(self) -> None:
        """All patches once."""
        self._build()
        for batch in self.loader:
            self._train(*self._prepare(batch, self.device, non_blocking=True))

    def step(self) -> None:
        """One batch, which is on the device already."""
        self._build()
        self._train(*self.batch)

    def _build(self) -> None:
        if self._ready:
            return
        layout = torch.contiguous_format if self.plain else torch.channels_last
        self.network: torch.nn.Module = self.content("network").to(self.device, memory_format=layout).train()
        self.optimizer: torch.optim.Optimizer = self.content("optimizer")
        self.loss = self.content("train#trainer#loss_function")
        self.inferer = self.content("train#inferer")
        self.loader = self.content("train#dataloader")
        self.batch = self._prepare(next(iter(self.loader)), self.device)
        if self.backend is not None:
            self.network.compile(backend=self.backend)
        self._ready = True

    def _train(self, image: torch.Tensor, label: torch.Tensor) -> None:
        with plain_gradients() if self.plain else contextlib.nullcontext():
            self.optimizer.zero_grad()
            value = self.loss(self.inferer(image, self.network), label)
            value.backward()
            self.optimizer.step()
