"""The command that segments images with the weights of a run, ready to be copied."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from ..core.facts import DATALIST_NAME
from ..core.paths import BUNDLE_ROOT
from ..data.datalist import read_datalist

__all__ = ["next_command"]


def next_command(
    dataset_dir: str | Path, output_dir: str | Path, model_dir: str | Path, own: str | Sequence[str] | None = None
) -> str | None:
    """The command that segments images with the weights of a run; ``None`` while they are not there.

    It names the test images of the dataset; where there are none, the folder of its first training patch.

    Args:
        dataset_dir: prepared dataset.
        output_dir: folder of the run.
        model_dir: folder of the weights.
        own: Python files of one's own.
    """
    models = Path(model_dir).absolute()
    if not all((models / name).is_file() for name in ("classifier.pt", "model.pt")):
        return None
    images = Path(dataset_dir).absolute() / DATALIST_NAME
    if not read_datalist(dataset_dir, "test", ("image",)):
        images = Path(read_datalist(dataset_dir, "training", ("image",))[0]["image"]).parent
    options = {
        "config_file": Path(BUNDLE_ROOT) / "configs" / "inference.yaml",
        "dataset_dir": images,
        "output_dir": Path(output_dir).absolute(),
        "model_dir": models,
    }
    if own:
        options["own"] = own if isinstance(own, str) else str(list(own))
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return shlex.join(["python", "-m", "monai.bundle", "run", *words])
