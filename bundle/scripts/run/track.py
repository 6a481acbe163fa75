"""What a run kept for MLflow, and MLflow could not take then, is logged later."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ..core.lock import locked
from .journal import JOURNAL
from .mirror import Mirror, why

__all__ = ["track"]

logger = logging.getLogger(__name__)


def track(output_dir: str) -> dict[str, int]:
    """Log to MLflow what it lacks of a run folder: all stages with their parameters, figures of each epoch, and files.

    What MLflow has is left as it is, so that a second call logs nothing. The store of a folder that was moved or copied
    finds its files again.

    Args:
        output_dir: folder of the run.

    Returns:
        Entries logged, by the name of the stage.

    Raises:
        FileNotFoundError: no stage in the folder has kept anything.
        BlockingIOError: a run is at work in the folder.
        ConnectionError: MLflow cannot be reached, or its store not written.
    """
    output = Path(output_dir).absolute()
    folders = sorted(p.parent for p in output.glob(f"*/{JOURNAL}"))
    if not folders:
        raise FileNotFoundError(f"{output}: found no stage with a {JOURNAL}; expected the output_dir of a run")
    mirror = Mirror(output)
    with locked(output / ".lock", "track.yaml"):  # as stages do
        try:
            return _logged(mirror, folders)
        except Exception as error:  # every store has its own
            raise ConnectionError(f"{mirror}: {why(error)}; nothing is lost: run this again once that is mended") from error


def _logged(mirror: Mirror, folders: Sequence[Path]) -> dict[str, int]:
    if damaged := mirror.prepare():
        logger.warning("MLflow's store was damaged or half made; it is %s now, and there is a new one", damaged)
    logged = {}
    for folder in folders:
        logged[folder.name] = mirror.copy(folder)
        logger.info("%s: %d entries logged, the others were there", folder, logged[folder.name])
    mirror.close()
    return logged
