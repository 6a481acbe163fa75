"""What a tracked run is called, and by which tags runs are found and compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.facts import DATALIST_NAME, load_facts
from ..core.paths import BUNDLE_ROOT

__all__ = ["run_tags", "run_title"]

_WHAT = {
    "pipeline": "The whole method",
    "train_classifier": "Training of the classifier on image-level labels",
    "generate_pseudo_masks": "Class activation maps of the classifier made into pseudo masks",
    "train": "Training of the segmenter on pseudo masks",
    "evaluate": "Scores on test images with true masks",
    "report": "What labels alone tell of the two networks",
    "inference": "Segmentation of images",
    "inference_wsi": "Segmentation of whole slides",
}


def run_tags(
    stage: str, config: Mapping[str, Any], seed: int, reads: Any = None, inputs: Iterable[Path] = ()
) -> dict[str, str]:
    """Tags of a tracked run: ``stage``, ``dataset``, ``recipe``, ``seed``, ``bundle_version``, as far as they are known, and
    a description, which MLflow shows above its figures.

    Args:
        stage: name of the stage.
        config: its configuration.
        seed: its seed.
        reads: what it reads, which may have the dataset's facts.
        inputs: files that it depends on, which may be a datalist or descriptions of weights.
    """
    inputs = list(inputs)
    descriptions = [found for path in inputs if path.suffix == ".json" and (found := _json(path)).get("kind")]
    dataset = _name(reads) or next((_datalist_name(p) for p in inputs if p.name == DATALIST_NAME), None)
    recipe = config.get("recipe")
    if recipe is None or str(recipe).startswith(("$", "@", "%")):  # an expression says nothing
        recipe = next((d["recipe"] for d in descriptions if isinstance(d.get("recipe"), str)), "default")
    for description in descriptions:
        dataset = dataset or _name(description.get("dataset"))
    metadata = _json(Path(BUNDLE_ROOT) / "configs" / "metadata.json")
    tags = {
        "stage": stage,
        "dataset": dataset,
        "recipe": Path(str(recipe)).name,
        "seed": str(seed),
        "bundle_version": metadata.get("version"),
    }
    tags = {key: str(value) for key, value in tags.items() if value}
    of = f" of {tags['dataset']}" if "dataset" in tags else ""
    tags["mlflow.note.content"] = (
        f"{_WHAT.get(stage, stage)}{of}, recipe {tags['recipe']}, seed {seed}, bundle {tags.get('bundle_version', '?')}."
    )
    return tags


def run_title(tags: Mapping[str, str]) -> str:
    """Name of a tracked run: dataset, recipe and seed, and the stage unless it is the whole pipeline.

    Args:
        tags: of :func:`run_tags`.
    """
    title = ", ".join([*([tags["dataset"]] if "dataset" in tags else []), tags["recipe"], f"seed {tags['seed']}"])
    return title if tags["stage"] == "pipeline" else f"{title}: {tags['stage']}"


def _name(value: Any) -> str | None:
    """Name of the dataset whose facts a value is, or has in it."""
    if isinstance(value, Mapping):
        return value["name"] if "classes" in value and isinstance(value.get("name"), str) else None
    if isinstance(value, (list, tuple)):
        return next((name for item in value if (name := _name(item))), None)
    return None


def _datalist_name(path: Path) -> str | None:
    with suppress(OSError, ValueError):
        return load_facts(path).name
    return None


def _json(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}
