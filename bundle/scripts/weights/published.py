"""Import of published checkpoints: their names become this bundle's, and nothing in them is run."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.facts import DatasetFacts
from .description import FILES, describe
from .download import weights_file
from .files import save_weights
from .mxnet_params import read_mxnet_params
from .states import fitting, read_checkpoint, tensors
from .untrained import untrained_network

__all__ = ["KINDS", "convert_checkpoints", "initialise", "load_published"]

logger = logging.getLogger(__name__)

_PYRAMID = (
    (re.compile(r"^aspp\.aspp(\d)\.atrous_conv\."), lambda m: f"pyramid.branches.{int(m[1]) - 1}.0."),
    (re.compile(r"^aspp\.aspp(\d)\.bn\."), lambda m: f"pyramid.branches.{int(m[1]) - 1}.1."),
    (re.compile(r"^aspp\.global_avg_pool\.1\."), lambda m: "pyramid.pooled.0."),
    (re.compile(r"^aspp\.global_avg_pool\.2\."), lambda m: "pyramid.pooled.1."),
    (re.compile(r"^aspp\.conv1\."), lambda m: "pyramid.project.0."),
    (re.compile(r"^aspp\.bn1\."), lambda m: "pyramid.project.1."),
    (re.compile(r"^decoder\.conv1\."), lambda m: "reduce.0."),
    (re.compile(r"^decoder\.bn1\."), lambda m: "reduce.1."),
    (re.compile(r"^decoder\.last_conv\.0\."), lambda m: "decoder.0.0."),
    (re.compile(r"^decoder\.last_conv\.1\."), lambda m: "decoder.0.1."),
    (re.compile(r"^decoder\.last_conv\.4\."), lambda m: "decoder.2.0."),
    (re.compile(r"^decoder\.last_conv\.5\."), lambda m: "decoder.2.1."),
    (re.compile(r"^decoder\.last_conv\.8\."), lambda m: "decoder.4."),
    (re.compile(r"^backbone\."), lambda m: "extractor."),
)
_MXNET = {"weight": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_var": "running_var"}


def load_published(network: nn.Module, path: str | Path, kind: str) -> nn.Module:
    """Load a published checkpoint into a network of this bundle and return it.

    Args:
        network: ``classifier`` and ``resnet38``: :class:`~scripts.networks.TissueClassifier` on
            :class:`~scripts.networks.ResNet38`. The others: :class:`~scripts.networks.DeepLabV3Plus` on
            :class:`~scripts.networks.ResNet`.
        path: the checkpoint.
        kind: one of :data:`KINDS`. ``classifier`` and ``segmenter`` are the paper's trained networks, complete.
            ``deeplab`` (DeepLabV3+ trained on PASCAL VOC), ``resnet101`` (ImageNet, torchvision's names) and ``resnet38``
            (ImageNet, MXNet parameters) initialise a network; the layers of their own classes are dropped, and what the
            network has beyond them stays as it is.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unknown kind; a file that is truncated, holds more than tensors, or has entries that are missing,
            unknown, not finite, or of another shape or type. The network is then as it was.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {sorted(KINDS)}, found {kind!r}")
    path = Path(path)
    read, rename, kept = KINDS[kind]
    given = [(rename(name), value) for name, value in read(path).items()]
    state = {name: value for name, value in given if name is not None}
    if len(state) < sum(name is not None for name, _ in given):
        raise ValueError(f"{path} is no {kind} checkpoint for this network: two of its entries are the same one")
    own = network.state_dict()
    needed = {name for name in own if not kept(name) and not name.endswith("num_batches_tracked")}
    found = fitting(state, own, path, f"is no {kind} checkpoint for this network", needed)
    network.load_state_dict({**own, **found})
    return network


def convert_checkpoints(
    classifier: str | Path | None,
    segmenter: str | Path | None,
    facts: DatasetFacts,
    model_dir: str | Path,
    patch_size: Sequence[int],
    recipe: str = "paper",
    gate_threshold: float = 0.1,
    inference: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Turn published checkpoints into weights of this bundle, described; all are read before anything is written.

    Args:
        classifier: published classifier, or ``None``.
        segmenter: published segmenter, or ``None``.
        facts: what their classes mean, and µm/px.
        model_dir: folder of ``classifier.pt``, ``model.pt`` and their descriptions.
        patch_size: (height, width) in px of the patches that they were trained on.
        recipe: whose networks they are.
        gate_threshold: see :class:`~.description.Description`.
        inference: see :class:`~.description.Description`.

    Returns:
        The files of weights written.

    Raises:
        FileNotFoundError: a file is absent.
        ValueError: neither file is given, or one does not fit (see :func:`load_published`).
    """
    given = {kind: path for kind, path in (("classifier", classifier), ("segmenter", segmenter)) if path is not None}
    if not given:
        raise ValueError("nothing to import: name a published --classifier, a --segmenter, or both")
    networks = {
        kind: load_published(untrained_network(kind, facts.num_classes, recipe), path, kind) for kind, path in given.items()
    }
    written = []
    for kind, network in networks.items():
        how = {"gate_threshold": gate_threshold} if kind == "classifier" else {"inference": inference}
        target = Path(model_dir) / FILES[kind]
        save_weights(target, network, describe(network, kind, facts, patch_size, recipe, **how))
        logger.info("%s: imported as %s", given[kind], target)
        written.append(target)
    return written


def initialise(network: nn.Module, source: str | Path | None, kind: str, sha256: str | None = None) -> nn.Module:
    """:func:`load_published` of a path or an address (see :func:`~.download.weights_file` for it and for
    ``sha256``), or the network as it is, with a warning, where no file is named."""
    if source is None:
        logger.warning(
            "no initial_weights: %s starts from random weights, the published one does not", type(network).__name__
        )
        return network
    return load_published(network, weights_file(source, sha256), kind)


def _unprefixed(state: Any, path: Path) -> dict[str, torch.Tensor]:
    """Networks trained on several GPUs put a prefix before every name."""
    return {name.removeprefix("module."): value for name, value in tensors(state, path).items()}


def _plain(path: Path) -> dict[str, torch.Tensor]:
    return _unprefixed(read_checkpoint(path), path)


def _wrapped(path: Path) -> dict[str, torch.Tensor]:
    content = read_checkpoint(path)
    if not isinstance(content, Mapping) or "state_dict" not in content:
        found = sorted(map(str, content))[:3] if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f"{path}: expected a checkpoint with 'state_dict', found {found}")
    return _unprefixed(content["state_dict"], path)


def _mxnet(path: Path) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in read_mxnet_params(path).items()}


def _classifier_name(name: str) -> str:
    return f"class_head.{name.removeprefix('fc8.')}" if name.startswith("fc8.") else f"extractor.{name}"


def _segmenter_name(name: str) -> str:
    for pattern, replacement in _PYRAMID:
        if pattern.match(name):
            return pattern.sub(replacement, name)
    return name


def _deeplab_name(name: str) -> str | None:
    return None if name.startswith("decoder.last_conv.8.") else _segmenter_name(name)


def _resnet_name(name: str) -> str | None:
    return None if name.startswith("fc.") else f"extractor.{name}"


def _mxnet_name(name: str) -> str | None:
    """``arg:res3b1_branch2a_weight`` and ``aux:bn3b1_branch2a_moving_mean`` to this network's names."""
    prefix, _, rest = name.partition(":")
    base, _, kind = rest.rpartition("_")
    if kind in ("mean", "var"):
        base, kind = base.removesuffix("_moving"), f"moving_{kind}"
    if prefix not in ("arg", "aux") or kind not in (*_MXNET, "bias"):
        return name
    if base.startswith("linear"):  # the head of the 1000 ImageNet classes
        return None
    if base == "conv1a":
        return f"extractor.conv1a.{_MXNET.get(kind, kind)}"
    if base == "bn7":
        return f"extractor.bn7.{_MXNET.get(kind, kind)}"
    match = re.fullmatch(r"(res|bn)(\d)([a-z])?(\d)?_(branch\w+)", base)
    if not match:
        return name
    what, stage, letter, number, branch = match.groups()
    # blocks are called 2a, 2b1, 2b2 (or 2a, 2b, ...) there, and b2, b2_1, b2_2 here
    index = 0 if letter in (None, "a") else int(number or 1)
    block = f"b{stage}" + (f"_{index}" if index else "")
    return f"extractor.{block}.{'conv' if what == 'res' else 'bn'}_{branch}.{_MXNET.get(kind, kind)}"


_Kind = tuple[Callable[[Path], dict[str, torch.Tensor]], Callable[[str], str | None], Callable[[str], bool]]

#: How each kind of checkpoint is read, how its names translate, and which of the network's entries it need not hold.
KINDS: dict[str, _Kind] = {
    "classifier": (_plain, _classifier_name, lambda name: False),
    "segmenter": (_wrapped, _segmenter_name, lambda name: False),
    "deeplab": (_wrapped, _deeplab_name, lambda name: name.startswith("decoder.4.")),
    "resnet101": (_plain, _resnet_name, lambda name: not name.startswith("extractor.")),
    "resnet38": (_mxnet, _mxnet_name, lambda name: not name.startswith("extractor.")),
}
