"""``configs/metadata.json`` of a package: the bundle's, with what its weights are and what was measured of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import metadata as installed
from typing import Any

from ..core.arguments import no_such
from ..core.ranges import shown
from ..weights.description import Description
from ..weights.metadata import model_metadata
from .measured import Measured

__all__ = ["required_packages", "zoo_metadata"]

# what only the people know who give their weights away
_TOLD = (
    "name", "task", "description", "authors", "copyright", "data_source", "data_type", "image_classes", "label_classes",
    "pred_classes", "intended_use", "license",
)  # fmt: skip
# packages whose versions have a key of their own
_OWN_KEYS = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def zoo_metadata(
    segmenter: Description,
    figures: Sequence[Measured],
    told: Mapping[str, Any],
    version: str | None = None,
    change: str | None = None,
) -> dict[str, Any]:
    """The metadata that MONAI's tools and its zoo read.

    Args:
        segmenter: what its weights are.
        figures: what was measured of them.
        told: texts that take the place of the bundle's (``authors``, ``copyright``, ``data_source``, ...), and the list
            ``references``.
        version: of the package, ``1.2.3``; that of the bundle by default.
        change: line of the changelog for ``version``.

    Returns:
        The metadata. Versions of packages are those installed, without what names a build (``+cpu``).

    Raises:
        ValueError: a malformed version, ``change`` without a version, or something told that is not a text or not known.
    """
    content = model_metadata(segmenter)
    bundle = content["version"]
    if version is None and change is not None:
        raise ValueError("change: found a line for the changelog and no version that it is of; set version, as 1.2.3")
    if version is not None and not _VERSION.fullmatch(version):
        raise ValueError(f"version: found {shown(version)}, expected three numbers, as 1.2.3")
    if version is not None and version not in content["changelog"]:
        line = change or f"weights of {segmenter.facts.name}, bundle {bundle}"
        content["changelog"] = {version: line, **content["changelog"]}
    content["version"] = version or bundle
    content.update(_checked(told))
    versions = required_packages(content)
    content.update({key: versions.pop(package) for key, package in _OWN_KEYS.items()})
    content["required_packages_version"] = versions
    content["mpp"] = segmenter.facts.mpp
    content["patch_size"] = list(segmenter.patch_size)
    content["eval_metrics"] = {f"{m.name}_{key}": _rounded(value) for m in figures for key, value in m.figures.items()}
    content["measured_on"] = {m.name: f"{m.of}, {m.on}" for m in figures}
    return content


def required_packages(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Versions of the packages that the bundle needs: those installed, else those in its metadata."""
    tested = {package: metadata[key] for key, package in _OWN_KEYS.items()} | metadata["required_packages_version"]
    return {name: _installed(name, version) for name, version in tested.items()}


def _checked(told: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in told.items():
        if key == "references":
            if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
                raise ValueError(f"metadata#references: found {shown(value)}, expected a list of texts")
        elif key not in _TOLD:
            raise ValueError(no_such(key, "metadata", (*_TOLD, "references")))
        elif not isinstance(value, str) or not value.strip():
            raise ValueError(f"metadata#{key}: found {shown(value)}, expected a text")
    return dict(told)


def _installed(package: str, tested: str) -> str:
    """Version that is installed; the one that the bundle was tested with where it is not."""
    try:
        return installed.version(package).partition("+")[0]
    except installed.PackageNotFoundError:
        return tested


def _rounded(value: float | Mapping[str, float]) -> Any:
    return {k: round(v, 4) for k, v in value.items()} if isinstance(value, Mapping) else round(value, 4)
