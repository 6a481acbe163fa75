"""Grad-CAM of every class at several depths from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .classifier import TissueClassifier

__all__ = ["grad_cam", "upsample"]


def grad_cam(
    classifier: TissueClassifier,
    image: torch.Tensor,
    layers: Sequence[str],
    present: torch.Tensor | None = None,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Grad-CAM (Selvaraju et al. 2017): feature maps weighted by the mean gradient of a class logit, without ReLU.

    One forward pass serves all layers. In evaluation mode the patches of a batch do not influence each other, so the
    summed logit of a class gives each patch its own gradient, and one backward pass, down to the shallowest layer asked
    for, serves all layers of that class. The layer that the class head reads needs none: its gradient is ``w_k / (H W)``.

    Args:
        classifier: classifier in evaluation mode.
        image: ``(N, 3, H, W)`` float in ``[0, 1]``.
        layers: names of the extractor's layers.
        present: ``(N, C)`` image-level labels; maps of absent classes are left at zero, and classes absent from the whole
            batch cost nothing. All classes by default.

    Returns:
        ``{layer: (N, C, h, w)}`` raw maps, and the logits ``(N, C)``; detached.

    Raises:
        ValueError: unknown layer, or a classifier in training mode.
    """
    if classifier.training:
        raise ValueError("grad_cam needs a classifier in evaluation mode: call classifier.eval()")
    classifier.extractor.check_layers(layers)
    wanted = torch.ones(len(image), classifier.num_classes) if present is None else present
    wanted = wanted.to(device=image.device, dtype=torch.bool)
    through = [name for name in layers if name != classifier.layer]
    cams: dict[str, torch.Tensor] = {}
    with torch.enable_grad(), _frozen(classifier):
        features = classifier.extractor(image.detach().requires_grad_(bool(through)))
        logits = classifier.head(features[classifier.layer])
        for name in layers:
            feature = features[name].detach()
            cams[name] = feature.new_zeros(len(image), classifier.num_classes, *feature.shape[-2:])
            if name == classifier.layer:
                maps = torch.nn.functional.conv2d(feature, classifier.class_head.weight.detach())
                cams[name] = maps / feature[0, 0].numel() * wanted[:, :, None, None]
        if through:
            inputs = [features[name] for name in through]
            classes = torch.nonzero(wanted.any(dim=0)).flatten().tolist()
            for step, k in enumerate(classes):
                gradients = torch.autograd.grad(logits[:, k].sum(), inputs, retain_graph=step + 1 < len(classes))
                for name, feature, gradient in zip(through, inputs, gradients, strict=True):
                    weight = gradient.mean(dim=(2, 3), keepdim=True)
                    cams[name][:, k] = (weight * feature.detach()).sum(dim=1) * wanted[:, k, None, None]
    return cams, logits.detach()


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
