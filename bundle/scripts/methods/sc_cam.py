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

from ..networks.subcategories import SubCategoryClassifier

__all__ = ["SubCategories", "SubCategoryLoss"]

logger = logging.getLogger(__name__)


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
        classifier: whose :attr:`~scripts.networks.SubCategoryClassifier.centres` are set.
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
