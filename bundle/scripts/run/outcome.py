"""What a stage has made: whether it is still there, and what becomes of that of another configuration."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.aside import put_aside
from ..core.digest import file_sha256
from ..pseudo_masks.summary import MARK, read_mark
from ..weights.description import description_path

__all__ = ["is_whole", "put_states_aside", "put_weights_aside"]

#: States of a training, to continue from, in its folder.
_STATES = ("last.pt",)

logger = logging.getLogger(__name__)


def is_whole(weights: Sequence[Path], outputs: Sequence[Path], fingerprint: str) -> bool:
    """Whether everything that a stage has made is there: files, and the very weights that it wrote.

    Args:
        weights: files of weights.
        outputs: other files.
        fingerprint: of the stage.
    """
    return all(_is_own(p, fingerprint) for p in outputs) and all(_is_described(p, fingerprint) for p in weights)


def _is_own(output: Path, fingerprint: str) -> bool:
    """Whether a file is there, and the mark of a folder of pseudo masks is that of the stage."""
    return output.is_file() and (output.name != MARK or read_mark(output.parent) == fingerprint)


def put_states_aside(folder: Path) -> None:
    """Rename the states of another configuration."""
    for path in map(folder.joinpath, _STATES):
        if path.is_file():
            logger.info("the state of before is kept as %s", put_aside(path))


def put_weights_aside(weights: Sequence[Path], fingerprint: str, record: Mapping[str, Any], resumes: bool) -> None:
    """Rename weights that are there but are not those of the stage, with their descriptions.

    Args:
        weights: files that the stage is about to write.
        fingerprint: of the stage.
        record: of the stage as it was found.
        resumes: whether it goes on with what it has made.
    """
    for path in weights:
        if not path.is_file():
            continue
        if resumes and record.get("state") == "running":
            # a stage that was killed may have written weights that their description does not fit yet, or has none
            own = _description(path).get("fingerprint", fingerprint) == fingerprint
        else:
            own = _is_described(path, fingerprint) and (resumes or not record)
        if not own:
            logger.info("the weights of before are kept as %s", put_aside(path, [description_path(path)]))


def _is_described(path: Path, fingerprint: str) -> bool:
    found = _description(path)
    return path.is_file() and found.get("fingerprint") == fingerprint and found.get("sha256") == file_sha256(path)


def _description(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(description_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
