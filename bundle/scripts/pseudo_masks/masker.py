"""Label maps of patches from a classifier's class activation maps (Han et al. 2022, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from ..core.facts import DatasetFacts
from ..core.processes import brought_together
from ..core.white import white_background
from ..networks.classifier import TissueClassifier
from ..networks.winograd import with_winograd
from .appearance import Appearance
from .calibration import FEATURES, Measured, thinned
from .cam import grad_cam, upsample
from .refinement import REFINED, Refinement
from .shares import class_offsets, standardise

__all__ = ["PseudoMasker"]


class PseudoMasker:
    """Turns patches with image-level labels into one label map per depth, and a refined one if asked.

    The Grad-CAM of the present classes is upsampled to the patch and arg-maxed among them, for each layer on its own.
    White background is painted where the dataset has one.

    Args:
        classifier: trained classifier.
        layers: layers of its extractor, shallow to deep; :meth:`default_layers` where none are named.
        facts: facts of the dataset.
        scales: factors by which the patch is resized; maps are averaged over them. Grad-CAM shares the gradient out
            among the pixels, and so counts for a size in proportion to ``1 / scale**2``.
        flips: also average over the horizontal, the vertical and the double flip.
        context: share of a patch's side by which its maps see beyond it on every side, from the patches around it, its
            mirror image where none is known (see :func:`~.context.windows`). Near a border without tissue behind it, maps
            are worst.
        balance: before arg-max, divide each class's map by its largest value in the patch, so that a class with weak
            logits is not swallowed by one with strong ones. The published program does not.
        share_prior: how far the share of a patch that each of its classes gets is moved towards an equal one, in [0, 1] (see
            :func:`~.shares.class_offsets`); :meth:`calibrate` takes the measure.
        refinement: makes one more mask, ``"refined"``, of those maps that it names; what tissues look like close up is
            learned by :meth:`calibrate` and left out without.
        device: where the networks run. On a CPU the classifier's wide 3x3 convolutions run as
            :class:`~scripts.networks.winograd.WinogradConv2d`; its weights must not change while the masker is in use.
    """

    def __init__(
        self,
        classifier: TissueClassifier,
        layers: Sequence[str] | None,
        facts: DatasetFacts,
        scales: Sequence[float] = (1.0,),
        flips: bool = False,
        balance: bool = False,
        device: torch.device | str = "cpu",
        context: float = 0.0,
        share_prior: float = 0.0,
        refinement: Refinement | None = None,
    ) -> None:
        if not 0 <= share_prior <= 1:
            raise ValueError(f"share_prior: expected a number in [0, 1], found {share_prior}")
        if not 0 <= context <= 1:
            raise ValueError(f"context: expected a share of the patch's side in [0, 1], found {context}")
        layers = self.default_layers(classifier) if layers is None else layers
        self.check_layers(classifier, layers)
        if not layers or not scales or min(scales) <= 0:
            raise ValueError(f"expected at least one layer and positive scales, found {list(layers)}, {list(scales)}")
        if refinement is not None:
            if unknown := [layer for layer in refinement.weights if layer not in layers]:
                raise ValueError(f"refinement: found weights of {unknown}, expected some of the layers {list(layers)}")
            if refinement.appearance is not None:
                classifier.extractor.check_layers(refinement.appearance.layers)
        self.classifier = with_winograd(classifier.to(device).eval())
        self.layers = tuple(layers)
        self.facts = facts
        self.scales = tuple(scales)
        self.flips = flips
        self.balance = balance
        self.context = context
        self.share_prior = share_prior
        self.refinement = refinement
        self.outputs = self.layers if refinement is None else (*self.layers, REFINED)
        self.offsets: dict[str, torch.Tensor] = {}
        self.device = torch.device(device)

    def default_layers(self, classifier: TissueClassifier) -> Sequence[str]:
        """Layers that show how the classifier sees tissue, for those who name none."""
        return classifier.extractor.cam_layers

    def check_layers(self, classifier: TissueClassifier, layers: Sequence[str]) -> None:
        """Refuse layers that there are no maps of.

        Raises:
            ValueError: a name is unknown; the message lists the known ones.
        """
        classifier.extractor.check_layers(layers)

    def cams(self, image: torch.Tensor, present: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps of one batch as it is, ``{layer: (N, C, h, w)}`` of any size; what a subclass changes to map differently."""
        return grad_cam(self.classifier, image, self.layers, present, contrast=not self.balance)[0]

    def inner(self, x: torch.Tensor) -> torch.Tensor:
        """What lies within the patches, of a batch or maps ``(..., h, w)`` that see beyond them."""
        share = self.context / (1 + 2 * self.context)
        top, left = (round(share * side) for side in x.shape[-2:])
        return x[..., top : x.shape[-2] - top, left : x.shape[-1] - left]

    def maps(self, image: torch.Tensor, present: torch.Tensor) -> dict[str, torch.Tensor]:
        """Class activation maps of a batch at its patches' size, averaged over scales and flips.

        Args:
            image: ``(N, 3, H, W)`` float in [0, 1], with context where there is one.
            present: ``(N, C)`` image-level labels of the patches themselves.

        Returns:
            ``{layer: (N, C, h, w)}``, of the size of the patches; absent classes are zero. Without ``balance``, maps are
            relative to that of the patch's first present class (``contrast`` of :func:`~.cam.grad_cam`), which leaves the
            arg-max as it is.
        """
        image, present = image.to(self.device), present.to(self.device)
        size = image.shape[-2:]
        axes: list[list[int]] = [[], [3], [2], [2, 3]] if self.flips else [[]]
        total: dict[str, torch.Tensor] = {}
        for scale in self.scales:
            scaled = image if scale == 1 else upsample(image, [max(1, round(s * scale)) for s in size])
            for axis in axes:
                for layer, cam in self.cams(scaled.flip(axis), present).items():
                    cam = self.inner(upsample(cam, size).flip(axis))
                    total[layer] = total[layer] + cam if layer in total else cam
        if self.balance:
            total = {k: cam / cam.amax(dim=(2, 3), keepdim=True).clamp(min=1e-6) for k, cam in total.items()}
        return total

    @property
    def calibrated(self) -> bool:
        """Whether masks depend on what :meth:`calibrate` measures."""
        return bool(self.share_prior) or self._appearance is not None

    @property
    def _appearance(self) -> Appearance | None:
        return None if self.refinement is None else self.refinement.appearance

    def calibrate(self, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Measure on some patches of several classes what to add to each class's maps from now on, and learn from these
        maps what the classes look like close up. Of several processes each measures its batches, and learns from all.

        Args:
            batches: images and labels as :meth:`__call__` takes them, of this process.
        """
        patches = [patch for batch in brought_together([self._measured(*batch) for batch in batches]) for patch in batch]
        scores = {layer: [patch.scores[layer] for patch in patches] for layer in self.layers}
        named = [patch.present for patch in patches]
        features = [patch.features for patch in patches if patch.features is not None]
        seen = [patch.seen for patch in patches if patch.seen is not None]
        self.offsets = {}
        if self.share_prior and named:
            self.offsets = {layer: class_offsets(found, named, self.share_prior) for layer, found in scores.items()}
        if self.refinement is not None and self._appearance is not None:
            offsets = {layer: self.offsets.get(layer, torch.zeros(1))[:, None] for layer in self.layers}
            sure = [
                self.refinement.mean({layer: scores[layer][k][:, own] + offsets[layer] for layer in self.layers})
                for k, own in enumerate(seen)
            ]
            self._appearance.fit(features, sure, named)

    def _measured(self, images: np.ndarray, labels: np.ndarray) -> list[Measured]:
        present = torch.as_tensor(labels, dtype=torch.bool)
        image = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        maps = self.maps(image, present)
        tissue = torch.from_numpy(np.stack([~self._white(patch) for patch in self._patches(images)]))
        found = [Measured(named) for named in present.unbind()]
        for layer in self.layers:
            standard = standardise(maps[layer], present.to(self.device)).cpu()
            thin = thinned(standard.shape[-2:])
            for patch, score, kept in zip(found, standard[..., ::thin, ::thin], tissue[:, ::thin, ::thin], strict=True):
                patch.scores[layer] = score[:, kept]
        if self._appearance is not None:
            # fewer of these, and a patch at a time, for features may be many
            some = torch.zeros(tissue[0, ::thin, ::thin].shape, dtype=torch.bool)
            step = max(2, -(-max(some.shape) // FEATURES))
            some[::step, ::step] = True
            close = self._appearance.features(self._features(image))
            for k, (patch, kept) in enumerate(zip(found, tissue[:, ::thin, ::thin], strict=True)):
                near = self.inner(upsample(close[k : k + 1], image.shape[-2:]))[0, :, ::thin, ::thin].cpu()
                patch.features, patch.seen = near[:, kept & some], some[kept]
        return found

    @torch.no_grad()
    def _features(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.classifier.extractor(image.to(self.device))

    def _patches(self, images: np.ndarray) -> np.ndarray:
        return self.inner(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()

    def _white(self, patch: np.ndarray) -> np.ndarray:
        return white_background(patch) if self.facts.white_background else np.zeros(patch.shape[:2], bool)

    def __call__(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Pseudo masks of a batch of equally large patches.

        Args:
            images: ``(N, H, W, 3)`` uint8 RGB, with context where there is one.
            labels: ``(N, C)`` image-level labels of the patches themselves, each with a present class.

        Returns:
            ``(N, L, h, w)`` uint8 class indices, one map for each of ``outputs``, of the size of the patches;
            ``facts.white_value`` on white background.
        """
        present = torch.as_tensor(labels, dtype=torch.bool)
        patches = self._patches(images)
        masks = np.empty((len(images), len(self.outputs), *patches.shape[1:3]), np.uint8)
        several = np.flatnonzero(present.sum(dim=1).numpy() > 1)
        # the mask of a patch with a single class is known without a map
        masks[:] = present.int().argmax(dim=1).numpy().astype(np.uint8)[:, None, None, None]
        if len(several):
            batch = torch.from_numpy(images[several]).permute(0, 3, 1, 2).float() / 255
            scores = self._scores(batch, present[several])
            absent = ~present[several].to(self.device)[:, :, None, None]
            for index, layer in enumerate(self.outputs):
                winner = scores[layer].masked_fill(absent, float("-inf")).argmax(dim=1)
                masks[several, index] = winner.to("cpu", torch.uint8).numpy()
        if self.facts.white_background:
            for patch, mask in zip(patches, masks, strict=True):
                mask[:, self._white(patch)] = self.facts.white_value
        return masks

    def _scores(self, image: torch.Tensor, present: torch.Tensor) -> dict[str, torch.Tensor]:
        """What is arg-maxed among the present classes, ``(N, C, h, w)`` for every mask."""
        scores = self.maps(image, present)
        named = present.to(self.device)
        for layer in self.layers:
            if layer in self.offsets or self.refinement is not None:
                scores[layer] = standardise(scores[layer], named)
            if layer in self.offsets:
                scores[layer] = scores[layer] + self.offsets[layer].to(scores[layer])[:, None, None]
        if self.refinement is not None:
            close = None
            if self._appearance is not None and self._appearance.coefficients is not None:
                close = self.inner(self._appearance(self._features(image), image.shape[-2:]))
            inner = self.inner(image).to(self.device)
            scores[REFINED] = self.refinement(scores, named, inner, close)
        return scores
