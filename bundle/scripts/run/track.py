"""What runs kept for MLflow is logged: what it could not take then, or all of them to one store, to be compared."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ..core.lock import locked
from ..package.pyfunc_model import PyfuncModel
from .journal import JOURNAL, read_journal
from .mirror import Mirror, why
from .registration import check_model_name
from .registration import register as registered

__all__ = ["track"]

logger = logging.getLogger(__name__)

_TRAINED = "train"  # the stage whose run weights are registered with
# s for an answer of a server that is sent weights; a run in the background waits less
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "120"}


def track(
    output_dir: str | Sequence[str],
    tracking_uri: str | None = None,
    register: str | None = None,
    model_dir: str | None = None,
) -> dict[str, int]:
    """Log to MLflow what it lacks of run folders: all stages with their parameters, figures of each epoch, and files.

    What MLflow has is left as it is, so that a second call logs nothing. The store of a folder that was moved or copied
    finds its files again.

    Args:
        output_dir: folder of a run, a pattern (``runs/*``) of such folders, or a list of folders and patterns.
        tracking_uri: store of all these runs; each folder's own, or ``MLFLOW_TRACKING_URI``, by default.
        register: name of a registered model, of which the trained weights of each folder become a version, see
            :func:`~.registration.register`; ``None``: none do.
        model_dir: folder of these weights, of a single run; ``<output_dir>/models`` by default.

    Returns:
        Entries logged, by the name of the stage; of several runs, by ``<folder>/<stage>``.

    Raises:
        FileNotFoundError: no stage in the only folder has kept anything; no weights, or no training that they are of.
        ValueError: a name that MLflow does not take; weights that are damaged or not described; one ``model_dir`` of several
            folders.
        BlockingIOError: a run is at work in the only folder.
        ConnectionError: MLflow cannot be reached, or its store not written.
        SystemExit: some of several folders could not be logged; all others are.
    """
    folders = _folders(output_dir)
    if register is not None:
        check_model_name(register)
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
    if model_dir is not None and (register is None or len(folders) > 1):
        raise ValueError("model_dir: is of what register is to take from one output_dir; name both, or leave it out")
    if len(folders) == 1:
        return _track(folders[0], tracking_uri, register, model_dir)
    logged, faults = {}, []
    for folder in folders:
        try:
            logged.update({f"{folder}/{stage}": count for stage, count in _track(folder, tracking_uri, register).items()})
        except (FileNotFoundError, BlockingIOError, ValueError) as error:
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


def _track(output: Path, uri: str | None, name: str | None = None, model_dir: str | None = None) -> dict[str, int]:
    folders = sorted(p.parent for p in output.glob(f"*/{JOURNAL}"))
    if not folders:
        raise FileNotFoundError(f"{output}: found no stage with a {JOURNAL}; expected the output_dir of a run")
    model = None if name is None else _trained(output, model_dir)
    mirror = Mirror(output, uri)
    with locked(output / ".lock", "track.yaml"):  # as stages do
        try:
            return _logged(mirror, folders, name, model)
        except Exception as error:  # every store has its own
            raise ConnectionError(f"{mirror}: {why(error)}; nothing is lost: run this again once that is mended") from error


def _trained(output: Path, model_dir: str | None) -> PyfuncModel:
    if not read_journal(output / _TRAINED):
        raise FileNotFoundError(
            f"{output / _TRAINED}: found no {JOURNAL} of a training; expected the output_dir of the run that trained "
            "the weights"
        )
    return PyfuncModel(output / "models" if model_dir is None else model_dir)


def _logged(mirror: Mirror, folders: Sequence[Path], name: str | None, model: PyfuncModel | None) -> dict[str, int]:
    if damaged := mirror.prepare():
        logger.warning("MLflow's store was damaged or half made; it is %s now, and there is a new one", damaged)
    logged = {}
    for folder in folders:
        logged[folder.name] = mirror.copy(folder)
        logger.info("%s: %d entries logged, the others were there", folder, logged[folder.name])
    if model is not None:
        run = read_journal(mirror.output_dir / _TRAINED)[-1]
        registered(mirror.client(run.header["experiment"]), mirror.run_id(run.key), model, name)
    mirror.close()
    return logged
