"""Trained weights in MLflow's registry of models: logged to the run that trained them, each weights one version."""

from __future__ import annotations

import logging
import re
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ..core.ranges import shown
from ..package.pyfunc_model import PyfuncModel

__all__ = ["check_model_name", "register"]

logger = logging.getLogger(__name__)

_LOGGED = "tissue_segmentation"  # name of a model within its run

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,99}")


def check_model_name(name: str) -> None:
    """See that MLflow takes the name of a registered model.

    Raises:
        ValueError: it does not.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"register: found {shown(name)}, expected up to 100 letters, digits, _, ., - and blanks")


def register(client: MlflowClient, run_id: str, model: PyfuncModel, name: str) -> ModelVersion:
    """See that a model is a version of ``name``: the same weights, by their SHA-256, never become a second one.

    What an interrupted call has left is completed.

    Args:
        client: of the store.
        run_id: the MLflow run that trained the weights.
        model: the weights.
        name: of the registered model; it is made where absent.

    Returns:
        The version.

    Raises:
        MlflowException: the store refuses, or cannot be reached.
        OSError: the model cannot be written.
    """
    if version := _version(client, name, model):
        logger.info("%s: version %s has these weights already", name, version.version)
        return version
    logged = _logged(client, run_id, model)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name, logged.artifact_location, run_id, model.digests, None, model.description, model_id=logged.model_id
    )
    logger.info("%s: version %s, to be loaded from models:/%s/%s", name, version.version, name, version.version)
    return version


def _version(client: MlflowClient, name: str, model: PyfuncModel) -> ModelVersion | None:
    found = client.search_model_versions(" and ".join([f"name = '{name}'", *_same(model)]))
    return found[0] if found else None


def _logged(client: MlflowClient, run_id: str, model: PyfuncModel) -> LoggedModel:
    """The model in its run; one that was not whole is written again."""
    run = client.get_run(run_id)
    experiment = run.info.experiment_id
    wanted = " and ".join([f"source_run_id = '{run_id}'", *_same(model)])
    found = client.search_logged_models([experiment], wanted)
    logged = found[0] if found else client.create_logged_model(experiment, _LOGGED, run_id, model.digests)
    if logged.status != LoggedModelStatus.READY:
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "model", model_id=logged.model_id, model_uuid=logged.model_id, run_id=run_id)
            client.log_model_artifacts(logged.model_id, str(Path(folder) / "model"))
        if logged.model_id not in [output.model_id for output in run.outputs.model_outputs]:  # MLflow takes it but once
            client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        logged = client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    return logged


def _same(model: PyfuncModel) -> list[str]:
    return [f"tags.`{key}` = '{digest}'" for key, digest in model.digests.items()]
