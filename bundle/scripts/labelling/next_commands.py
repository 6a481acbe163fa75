"""The commands that follow a round of labelling: train on all rounds, and ask what to label next."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..core.paths import BUNDLE_ROOT, shown
from ..data.preparation import RECORD

__all__ = ["next_commands"]

_PREPARE = "--prepare \"{'layout': 'labelled', 'overwrite': True}\""


def next_commands(
    source: str | Path | Sequence[str],
    label_dir: str | Path,
    dataset_dir: str | Path | None = None,
    model_dir: str | Path | None = None,
) -> tuple[str, str]:
    """What trains on all rounds, and what suggests the next one; to be copied to any folder.

    Dataset and run are those of before where they are of rounds; else they stand beside ``label_dir``, so that a dataset of
    something else is not written over.

    Args:
        source: see :func:`~.candidates.find_candidates`.
        label_dir: folder of the rounds.
        dataset_dir: prepared dataset that the model was trained on, if any.
        model_dir: folder of its weights, if any.
    """
    labels = _absolute(label_dir)
    data, run = f"{labels}_set", f"{labels}_run"
    if dataset_dir is not None and _of_rounds(Path(dataset_dir)):
        data = _absolute(dataset_dir)
        if model_dir is not None and (Path(model_dir).parent / "train_classifier").is_dir():
            run = os.path.dirname(_absolute(model_dir))
    sources = [source] if isinstance(source, (str, Path)) else source
    found = [_absolute(Path(part).expanduser()) for part in sources]
    train = [_words("pipeline", source=labels), _PREPARE, _words(dataset_dir=data, output_dir=run)]
    places = {"label_dir": labels, "model_dir": os.path.join(run, "models"), "dataset_dir": data}
    suggest = _words("suggest", source=found[0] if len(found) == 1 else str(found), **places)
    return " ".join(train), suggest


def _absolute(path: str | Path) -> str:
    return shown(os.path.abspath(path))


def _words(config: str | None = None, **options: str) -> str:
    start = ["python", "-m", "monai.bundle", "run", "--config_file", f"{BUNDLE_ROOT}/configs/{config}.yaml"]
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    return shlex.join([*start, *words] if config else words)


def _of_rounds(dataset_dir: Path) -> bool:
    """Whether a dataset was prepared from rounds of labelling."""
    try:
        return json.loads((dataset_dir / RECORD).read_text(encoding="utf-8"))["settings"]["layout"] == "labelled"
    except (OSError, ValueError, KeyError, TypeError):
        return False
