"""Sub-category exploration (SC-CAM, Chang et al., CVPR 2020), a method to compare with: classes are split into clusters of
their patches' features, and telling the clusters apart makes the classifier look at more of each tissue."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from scipy.cluster.vq import kmeans2
from torch import nn
from torch.nn import functional

from ..networks.classifier import TissueClassifier

__all__ = ["SubCategories", "SubCategoryClassifier", "SubCategoryLoss"]

logger = logging.getLogger(__name__)


class SubCategoryClassifier(TissueClassifier):
    """A classifier with a second head for ``K`` sub-categories of each class.

    The centres of the sub-categories are part of its state; a patch belongs to the nearest one of each present class.

    Args:
        args: as :class:`~scripts.networks.TissueClassifier`.
        subcategories: ``K``; the paper's is 10.
        kwargs: as :class:`~scripts.networks.TissueClassifier`.
    """

    def __init__(self, *args: Any, subcategories: int = 10, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if subcategories < 2:
            raise ValueError(f"subcategories: expected two or more, found {subcategories}")
        channels = self.class_head.in_channels
        self.subcategories = subcategories
        self.sub_head = nn.Conv2d(channels, self.num_classes * subcategories, 1, bias=False)
        nn.init.xavier_uniform_(self.sub_head.weight)
        # infinitely far as long as there is none
        self.register_buffer("centres", torch.full((self.num_classes, subcategories, channels), float("inf")))

    def forward(self, image: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """Logits ``(N, C)`` for images ``(N, 3, H, W)`` float in ``[0, 1]``; in training a mapping with ``logits``,
        ``sub_logits`` ``(N, C * K)`` and the pooled ``feature`` ``(N, D)``."""
        feature = self.extractor(image)[self.layer]
        logits = self.head(feature)
        if not self.training:
            return logits
        pooled = feature.mean(dim=(2, 3), keepdim=True)
        return {
            "logits": logits,
            "sub_logits": self.sub_head(self.dropout(pooled)).flatten(1),
            "feature": pooled.detach().flatten(1),
        }

    def sub_labels(self, feature: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Labels ``(N, C, K)`` of the sub-categories: the nearest centre of each present class; none before there are
        centres.

        Args:
            feature: ``(N, D)`` pooled features.
            label: ``(N, C)`` image-level labels.
        """
        near = torch.cdist(feature.float().expand(self.num_classes, -1, -1), self.centres.nan_to_num(posinf=1e6))
        nearest = functional.one_hot(near.argmin(dim=2), self.subcategories).transpose(0, 1)  # (N, C, K)
        return nearest * label.long()[:, :, None] * self.centres.isfinite().any(dim=(1, 2)).long()[None, :, None]


class SubCategoryLoss(nn.Module):
    """Multi-label soft-margin loss of the classes, plus that of the sub-categories once there are any.

    Args:
        classifier: the classifier in training.
        weight: weight of the sub-categories' loss.
    """

    def __init__(self, classifier: SubCategoryClassifier, weight: float = 5.0) -> None:
        super().__init__()
        self._classifier = [classifier]  # in a list, so that the loss does not own its parameters
        self.weight = weight

    def forward(self, output: Mapping[str, torch.Tensor], label: torch.Tensor) -> torch.Tensor:
        """Scalar from the classifier's output in training and image-level labels ``(N, C)``."""
        classifier = self._classifier[0]
        loss = functional.multilabel_soft_margin_loss(output["logits"], label.to(output["logits"].dtype))
        if not classifier.centres.isfinite().any():
            return loss
        target = classifier.sub_labels(output["feature"], label).flatten(1).to(output["sub_logits"].dtype)
        return loss + self.weight * functional.multilabel_soft_margin_loss(output["sub_logits"], target)


class SubCategories:
    """Clusters the features of the training patches, class by class, at the start of some epochs.

    Args:
        classifier: whose :attr:`~SubCategoryClassifier.centres` are set.
        loader: batches with ``image`` ``(N, 3, H, W)`` in [0, 1] and ``label`` ``(N, C)``, without augmentation.
        epochs: epochs, from 1, that start with a clustering.
        seed: seed of k-means.
    """

    def __init__(self, classifier: SubCategoryClassifier, loader: Any, epochs: Sequence[int], seed: int = 0) -> None:
        self.classifier = classifier
        self.loader = loader
        self.epochs = set(epochs)
        self.seed = int(seed)

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        if engine.state.epoch in self.epochs:
            self.cluster()

    @torch.no_grad()
    def cluster(self) -> None:
        """Set the centres from the network as it is."""
        classifier = self.classifier
        device = classifier.centres.device
        training = classifier.training
        classifier.eval()
        features, labels = [], []
        for batch in self.loader:
            feature = classifier.extractor(batch["image"].to(device, memory_format=torch.channels_last))[classifier.layer]
            features.append(feature.mean(dim=(2, 3)).cpu().double().numpy())
            labels.append(np.asarray(batch["label"]))
        classifier.train(training)
        self.set_centres(np.concatenate(features), np.concatenate(labels))

    def set_centres(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Set the centres from features ``(N, D)`` and image-level labels ``(N, C)``.

        A class with fewer patches than sub-categories keeps none. A centre that k-means leaves without a patch is dropped.
        """
        centres = torch.full_like(self.classifier.centres, float("inf"))
        for k in range(self.classifier.num_classes):
            own = features[labels[:, k] > 0]
            if len(own) < self.classifier.subcategories:
                logger.warning("sub-categories: class %d has %d patches, too few to split", k, len(own))
                continue
            found, member = kmeans2(own, self.classifier.subcategories, minit="++", seed=self.seed, missing="warn")
            for index in np.unique(member):
                centres[k, index] = torch.from_numpy(found[index]).to(centres)
        self.classifier.centres.copy_(centres)
