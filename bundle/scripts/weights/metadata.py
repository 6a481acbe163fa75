"""MONAI's metadata of trained weights, written from their description."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..core.paths import BUNDLE_ROOT
from .description import Description

__all__ = ["model_metadata"]


def model_metadata(description: Description) -> dict[str, Any]:
    """The bundle's ``metadata.json`` with the channels of a segmenter, so that MONAI's tools check and export it.

    Args:
        description: of the segmenter.
    """
    metadata = json.loads((Path(BUNDLE_ROOT) / "configs" / "metadata.json").read_text(encoding="utf-8"))
    facts = description.facts
    metadata["data_source"] = facts.name
    output = metadata["network_data_format"]["outputs"]["pred"]
    output["num_channels"] = facts.num_classes
    output["channel_def"] = {str(k): name for k, name in enumerate(facts.descriptions)}
    return metadata
