"""What runs kept for MLflow is logged: what it could not take then, or all of them to one store, to be compared."""

from __future__ import annotations

import glob
import logging
from collections.abc import Sequence
from pathlib import Path

from ..core.lock import locked
from .journal import JOURNAL
from .mirror import Mirror, why

__all__ = ["track"]

logger = logging.getLogger(__name__)


def track(output_dir: str | Sequence[str], tracking_uri: str | None = None) -> dict[str, int]:
    """Log to MLflow what it lacks of run folders: all stages with their parameters, figures of each epoch, and files.

    What MLflow has is left as it is, so that a second call logs nothing. The store of a folder that was moved or copied
    finds its files again.

    Args:
        output_dir: folder of a run, a pattern (``runs/*``) of such folders, or a list of folders and patterns.
        tracking_uri: store of all these runs; each folder's own, or ``MLFLOW_TRACKING_URI``, by default.

    Returns:
        Entries logged, by the name of the stage; of several runs, by ``<folder>/<stage>``.

    Raises:
        FileNotFoundError: no stage in the only folder has kept anything.
        BlockingIOError: a run is at work in the only folder.
        ConnectionError: MLflow cannot be reached, or its store not written.
        SystemExit: some of several folders could not be logged; all others are.
    """
    folders = _folders(output_dir)
    if len(folders) == 1:
        return _track(folders[0], tracking_uri)
    logged, faults = {}, []
    for folder in folders:
        try:
            logged.update({f"{folder}/{stage}": count for stage, count in _track(folder, tracking_uri).items()})
        except (FileNotFoundError, BlockingIOError) as error:
            logger.error("%s", error)
            faults.append(str(error))
    if faults:
        raise SystemExit("\n".join([f"{len(faults)} of {len(folders)} folders were not logged:", *faults]))
    return logged


def _folders(output_dir: str | Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for part in [output_dir] if isinstance(output_dir, (str, Path)) else output_dir:
        if glob.has_magic(str(part)) and not Path(part).is_dir():
            matches = sorted(Path(p) for p in glob.glob(str(part)) if any(Path(p).glob(f"*/{JOURNAL}")))
            if not matches:
                raise FileNotFoundError(f"{part}: found no folder of a run among what this pattern names")
            found += matches
        else:
            found.append(Path(part))
    if not found:
        raise ValueError("output_dir: found an empty list, expected folders of runs")
    return list(dict.fromkeys(p.absolute() for p in found))


def _track(output: Path, uri: str | None) -> dict[str, int]:
    folders = sorted(p.parent for p in output.glob(f"*/{JOURNAL}"))
    if not folders:
        raise FileNotFoundError(f"{output}: found no stage with a {JOURNAL}; expected the output_dir of a run")
    mirror = Mirror(output, uri)
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
