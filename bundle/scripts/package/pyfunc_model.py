"""Weights and the bundle as an MLflow model (pyfunc), which loads and segments where the bundle is not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.paths import BUNDLE_ROOT
from ..weights.description import FILES, Description, description_path, read_description
from ..weights.files import load_weights
from ..weights.metadata import model_metadata
from .load_config import refuse_own_networks
from .zoo_metadata import required_packages

__all__ = ["PyfuncModel"]

_LOADER = "scripts.package.pyfunc_loader"
_CODE = ("scripts", "configs", "LICENSE")
# what may be set when it is loaded, see pyfunc_loader.py; MLflow takes no other keys than these
_SETTINGS = {"device": None, "quality": None}
_EXAMPLE = (32, 32)  # px: it is kept as JSON
_PINK = (225, 170, 205)  # eosin


class PyfuncModel:
    """A folder of weights on its way to MLflow.

    Args:
        model_dir: folder of both networks' weights and descriptions.

    Raises:
        FileNotFoundError: weights that are absent.
        ValueError: weights that are damaged, not described, of other classes than each other, or of a network that is not
            the bundle's.
    """

    def __init__(self, model_dir: str | Path) -> None:
        self.model_dir = Path(model_dir)
        for kind, name in FILES.items():  # an own one cannot be read without its file
            refuse_own_networks(read_description(self.model_dir / name, kind))
        self.segmenter = load_weights(self.model_dir / FILES["segmenter"], "segmenter").description
        self.classifier = load_weights(
            self.model_dir / FILES["classifier"], "classifier", facts=self.segmenter.facts
        ).description

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each file of weights, by which a model is known: ``{"sha256.<kind>": 64 hexadecimal digits}``."""
        return {f"sha256.{of.kind}": of.sha256 for of in (self.classifier, self.segmenter)}

    @property
    def metadata(self) -> dict[str, Any]:
        """Class of each value of a label map, µm/px and size of the training patches, recipe, and version of the bundle."""
        facts = self.segmenter.facts
        values = {str(value): name for value, name in enumerate(facts.classes)}
        if facts.white_background:
            values[str(facts.white_value)] = "white background"
        return {
            "classes": list(facts.classes),
            "values": values,
            "mpp": facts.mpp,
            "patch_size": list(self.segmenter.patch_size),
            "dataset": facts.name,
            "recipe": self.segmenter.recipe,
            "bundle_version": self.segmenter.content.get("bundle_version"),
            **self.digests,
        }

    @property
    def description(self) -> str:
        """What people read above a version, in Markdown."""
        return _description(self.segmenter, self.metadata["values"])

    def save(self, path: str | Path, **of_mlflow: Any) -> None:
        """Write it as MLflow has its models: weights, code of the bundle, packages, signature and an example.

        Args:
            path: new folder.
            of_mlflow: arguments of :class:`mlflow.models.Model`, such as ``model_id``.

        Raises:
            OSError: it cannot be written.
        """
        import mlflow.pyfunc
        from mlflow.models import Model, ModelSignature
        from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

        signature = ModelSignature(
            Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, 3))]),
            Schema([TensorSpec(np.dtype(np.uint8), (-1, -1))]),
            ParamSchema([ParamSpec("mpp", "double", 0.0)]),
        )
        packages = required_packages(model_metadata(self.segmenter))
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "models"
            folder.mkdir()
            for weights in (self.model_dir / name for name in FILES.values()):  # and nothing else that lies there
                for file in (weights, description_path(weights)):
                    shutil.copyfile(file, folder / file.name)
            mlflow.pyfunc.save_model(
                path,
                mlflow_model=Model(metadata=self.metadata, **of_mlflow),
                loader_module=_LOADER,
                data_path=str(folder),
                code_paths=[str(Path(BUNDLE_ROOT) / name) for name in _CODE],
                pip_requirements=[f"{name}=={version}" for name, version in packages.items()],
                signature=signature,
                input_example=np.full((*_EXAMPLE, 3), _PINK, np.uint8),
                model_config=dict(_SETTINGS),
            )


def _description(segmenter: Description, values: Mapping[str, str]) -> str:
    facts = segmenter.facts
    said = dict(zip(facts.classes, facts.descriptions or (), strict=False))
    classes = "\n".join(f"- {v}: {name}{f' ({said[name]})' if name in said else ''}" for v, name in values.items())
    size = "an unknown pixel size" if facts.mpp is None else f"{facts.mpp:g} µm/px"
    height, width = segmenter.patch_size
    return (
        f"Tissue segmentation of H&E images, trained on image-level labels of {facts.name}, recipe {segmenter.recipe}: "
        f"patches of {width} x {height} px at {size}. Research use only.\n\n"
        "An image (H, W, 3) of uint8, RGB, gives a label map (H, W) of uint8; the parameter `mpp` is the image's µm/px, 0 "
        f"that of the patches. Values:\n\n{classes}\n"
    )
