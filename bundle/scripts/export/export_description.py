"""What an exported graph is, as a JSON file beside it: written with it, and read before it is run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ..core.digest import file_sha256
from ..core.environment import bundle_version
from ..core.ranges import shown
from ..weights.description import FILES
from ..weights.files import Weights
from .forms import GRAPHS, command, description_of, export_path, kinds_of

__all__ = ["describe_export", "read_export"]

_FORMAT = 1
_MAX_BYTES = 2**20
_ONNX = ("torch", "onnx", "onnxscript", "onnxruntime")
_PACKAGES = {"torchscript": ("torch",), "onnx": _ONNX, "onnx_int8": _ONNX}


def describe_export(
    graph: str,
    form: str,
    weights: Mapping[str, Weights],
    gate_threshold: Sequence[float] | None,
    how: Mapping[str, Any],
    check: Mapping[str, Any],
) -> dict[str, Any]:
    """Content of the JSON file beside an exported graph, but for the digest of the graph itself.

    Args:
        graph: ``"segmenter"``, ``"classifier"`` or ``"gated"``.
        form: a key of :data:`~.forms.FORMS`.
        weights: those that it was made of, by their kinds.
        gate_threshold: probability up to which each class is gated; ``None`` where there is no classifier.
        how: how it was made, such as the ``opset`` of ONNX.
        check: figures of the check against PyTorch.
    """
    first = weights[kinds_of(graph)[0]]
    facts, (height, width) = first.facts, first.description.patch_size
    spatial = [] if graph == "classifier" else ["height", "width"]
    return {
        "format": _FORMAT,
        "graph": graph,
        "form": form,
        "bundle_version": bundle_version(),
        "recipe": first.description.recipe,
        "weights": {kind: {"file": FILES[kind], "sha256": weights[kind].description.sha256} for kind in kinds_of(graph)},
        "classes": list(facts.classes),
        "descriptions": list(facts.descriptions),
        "white_background": facts.white_background,
        "patch_size": [height, width],
        "mpp": facts.mpp,
        "input": {
            "name": "image",
            "shape": ["batch", 3, "height", "width"],
            "dtype": "float32",
            "channels": "RGB",
            "range": [0, 1],
            "normalised_by": "the graph",
        },
        "output": {
            "name": GRAPHS[graph],
            "shape": ["batch", facts.num_classes, *spatial],
            "dtype": "float32",
            "probabilities_by": {"segmenter": "softmax over axis 1", "classifier": "sigmoid"}.get(graph, "the graph"),
        },
        **({} if gate_threshold is None or graph == "segmenter" else {"gate_threshold": list(gate_threshold)}),
        **how,
        "check": dict(check),
        "packages": {name: metadata.version(name) for name in _PACKAGES[form]},
    }


def read_export(folder: str | Path, graph: str, form: str, weights: Mapping[str, Weights]) -> Path:
    """The file of an exported graph, known by its description, and made of these weights.

    Args:
        folder: where ``export.yaml`` has written it.
        graph: see :func:`describe_export`.
        form: see :func:`describe_export`.
        weights: those that it must have been made of, by their kinds.

    Raises:
        FileNotFoundError: no export, or no description of it.
        ValueError: a description that does not fit, a file other than it describes, or one of other weights.
    """
    path = export_path(folder, graph, form)
    described = description_of(path)
    again = f"write it anew by {command(folder)}"
    for file in (path, described):
        if not file.is_file():
            raise FileNotFoundError(f"form {form}: no export at {file}: {again}; or name its export_dir")
    content = _content(described, again)
    found = content.get("graph"), content.get("form"), content.get("format")
    if found != (graph, form, _FORMAT):
        raise ValueError(
            f"{described}: found {shown(found)}, expected {(graph, form, _FORMAT)} (graph, form, format); {again}"
        )
    if file_sha256(path) != content.get("sha256"):
        raise ValueError(f"{path}: damaged, or not the file that {described.name} describes (other SHA-256); {again}")
    made_of = content.get("weights")
    for kind in kinds_of(graph):
        entry = made_of.get(kind) if isinstance(made_of, dict) else None
        digest = entry.get("sha256") if isinstance(entry, dict) else None
        expected = weights[kind].description.sha256
        if digest != expected:
            raise ValueError(
                f"{path}: an export of other weights: found SHA-256 {shown(str(digest)[:12])} of {FILES[kind]}, "
                f"expected {expected[:12]}...; {again}"
            )
    return path


def _content(path: Path, again: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not readable as JSON: {error}; {again}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a description, found {type(content).__name__}; {again}")
    return content
