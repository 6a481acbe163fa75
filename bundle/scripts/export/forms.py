"""What is exported, in which forms, and under which names: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["FORMS", "GRAPHS", "HAND_OVER", "command", "description_of", "export_path", "exported_files", "kinds_of"]

#: What a graph gives for images ``(N, 3, H, W)`` in [0, 1], by its name.
GRAPHS = {"segmenter": "logits", "classifier": "logits", "gated": "probabilities"}

#: Ends of the names of files, by their form.
FORMS = {"torchscript": ".ts", "onnx": ".onnx", "onnx_int8": ".int8.onnx"}

#: Forms of other programs, and the graph that each takes.
HAND_OVER = {"bioimageio": "segmenter", "wsinfer": "classifier", "monai_deploy": "gated"}


def kinds_of(graph: str) -> tuple[str, ...]:
    """Kinds of networks that a graph is made of."""
    return ("segmenter", "classifier") if graph == "gated" else (graph,)


def export_path(folder: str | Path, graph: str, form: str) -> Path:
    """File of an exported graph.

    Args:
        folder: where ``export.yaml`` has written it.
        graph: a key of :data:`GRAPHS`.
        form: a key of :data:`FORMS`.
    """
    return Path(folder) / f"{graph}{FORMS[form]}"


def description_of(path: str | Path) -> Path:
    """The JSON file beside an exported graph."""
    return Path(f"{path}.json")


def command(folder: str | Path, model_dir: str | Path = "MODELS") -> str:
    """The command that writes a folder of exports."""
    return (
        f"python -m monai.bundle run --config_file bundle/configs/export.yaml --model_dir {model_dir} "
        f"--output_dir {Path(folder).parent}"
    )


def exported_files(folder: str | Path, form: str, kinds: Sequence[str]) -> list[str]:
    """Files of exported networks and their descriptions, which a stage depends on; none for PyTorch's own.

    Args:
        folder: where ``export.yaml`` has written them.
        form: a key of :data:`FORMS`, or ``"pytorch"``.
        kinds: ``"segmenter"``, ``"classifier"``.

    Raises:
        FileNotFoundError: one is absent; the message says what writes it.
    """
    if form == "pytorch":
        return []
    paths = [export_path(folder, kind, form) for kind in kinds]
    files = [file for path in paths for file in (path, description_of(path))]
    for path in files:
        if not path.is_file():
            raise FileNotFoundError(
                f"form {form}: no export at {path}: write it by {command(folder)}; or name its export_dir"
            )
    return [str(path) for path in files]
