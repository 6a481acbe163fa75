"""Grad-CAM of every class at several depths from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..networks.classifier import TissueClassifier

__all__ = ["grad_cam", "grad_cam_and_features", "upsample"]


def grad_cam(
    classifier: TissueClassifier,
    image: torch.Tensor,
    layers: Sequence[str],
    present: torch.Tensor | None = None,
    contrast: bool = False,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Grad-CAM (Selvaraju et al. 2017): feature maps weighted by the mean gradient of a class logit, without ReLU.

    One forward pass serves all layers, and keeps activations from the shallowest layer asked for on. In evaluation mode
    the patches of a batch do not influence each other, so one backward pass, down to that layer, serves all layers and one
    class of every patch: the first present class of each, then the second, and so on. The layer that the class head reads
    needs none: its gradient is ``w_k / (H W)``.

    Args:
        classifier: classifier in evaluation mode.
        image: ``(N, 3, H, W)`` float in ``[0, 1]``.
        layers: names of the extractor's layers.
        present: ``(N, C)`` image-level labels; maps of absent classes are left at zero, and cost nothing. All classes by
            default.
        contrast: give each map minus that of the patch's first present class, whose own is then zero. Grad-CAM is linear
            in the logit, so this is the map of a difference of logits: arg-max among the present classes stays as it is,
            and a patch of two classes takes one backward pass instead of two.

    Returns:
        ``{layer: (N, C, h, w)}`` raw maps, and the logits ``(N, C)``; detached.

    Raises:
        ValueError: unknown layer, one behind the class head, or a classifier in training mode.
    """
    cams, logits, _ = grad_cam_and_features(classifier, image, layers, present, contrast)
    return cams, logits


def grad_cam_and_features(
    classifier: TissueClassifier,
    image: torch.Tensor,
    layers: Sequence[str],
    present: torch.Tensor | None = None,
    contrast: bool = False,
) -> tuple[dict[str, torch.Tensor], torch.Tensor, dict[str, torch.Tensor]]:
    """:func:`grad_cam`, and the extractor's feature maps ``{layer: (N, D, h, w)}`` that it comes from, detached."""
    if classifier.training:
        raise ValueError("grad_cam needs a classifier in evaluation mode: call classifier.eval()")
    extractor = classifier.extractor
    extractor.check_layers([*layers, classifier.layer])
    depth = {name: index for index, name in enumerate(extractor.layers)}
    behind = [name for name in layers if depth[name] > depth[classifier.layer]]
    if behind:
        raise ValueError(f"{behind} lie behind {classifier.layer!r}, which the class head reads: no gradient reaches them")
    wanted = torch.ones(len(image), classifier.num_classes) if present is None else present
    wanted = wanted.to(device=image.device, dtype=torch.bool)
    through = sorted((name for name in set(layers) if name != classifier.layer), key=depth.__getitem__)
    cams: dict[str, torch.Tensor] = {}
    with torch.set_grad_enabled(bool(through)), _frozen(classifier):
        with extractor.gradient_from(through[0] if through else None):
            features = extractor(image.detach())
        logits = classifier.head(features[classifier.layer])
        for name in layers:
            feature = features[name].detach()
            cams[name] = feature.new_zeros(len(image), classifier.num_classes, *feature.shape[-2:])
        if classifier.layer in cams:
            feature = features[classifier.layer].detach()
            maps = torch.nn.functional.conv2d(feature, classifier.class_head.weight.detach()) / feature[0, 0].numel()
            if contrast:
                first = wanted.int().argmax(dim=1)
                maps = maps - maps[torch.arange(len(maps), device=maps.device), first][:, None]
            cams[classifier.layer] = maps * wanted[:, :, None, None]
        if through:
            inputs = [features[name] for name in through]
            passes = _passes(wanted, contrast)
            for step, (patches, classes, weights) in enumerate(passes):
                target = (logits[patches] * weights).sum()
                gradients = torch.autograd.grad(target, inputs, retain_graph=step + 1 < len(passes))
                for name, feature, gradient in zip(through, inputs, gradients, strict=True):
                    pooled = gradient[patches].mean(dim=(2, 3))
                    cams[name][patches, classes] = torch.einsum("nd,ndhw->nhw", pooled, feature.detach()[patches])
    return cams, logits.detach(), {name: feature.detach() for name, feature in features.items()}


def _passes(wanted: torch.Tensor, contrast: bool) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Patches, the class of each that a backward pass serves, and the weights ``(n, C)`` of their logits."""
    order = wanted.int().cumsum(dim=1) * wanted  # 1 for the first present class, 2 for the second, ...
    passes = []
    for rank in range(2 if contrast else 1, int(order.max()) + 1):
        patches, classes = torch.nonzero(order == rank, as_tuple=True)
        weights = (order[patches] == rank).float()
        passes.append((patches, classes, weights - (order[patches] == 1).float() if contrast else weights))
    return passes


def upsample(cam: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Bilinear upsampling of maps ``(N, C, h, w)`` to ``size`` (height, width)."""
    return torch.nn.functional.interpolate(cam, size=tuple(size), mode="bilinear", align_corners=False)


class _frozen:
    """Parameters do not require gradients inside, so that backward passes compute activation gradients alone."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.parameters = [p for p in module.parameters() if p.requires_grad]

    def __enter__(self) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(False)

    def __exit__(self, *_exception: object) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(True)
