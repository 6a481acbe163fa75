"""Fixtures shared by the tests."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest
import torch

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def parity() -> Path:
    """Folder of arrays from the paper's published program."""
    folder = SHARED / "parity"
    if not folder.is_dir():
        pytest.skip("the published program's arrays are not at hand")
    return folder


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store of MLflow that nothing was logged to: to make one takes seconds."""
    from scripts.run.tracking_store import prepare_store

    path = tmp_path_factory.mktemp("store") / "mlruns.db"
    prepare_store(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def slide_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small model for small slides."""
    from slide_runs import small_models

    return small_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def cohort(tmp_path: Path, slide_models: Path):
    """Segments the slides of a folder, as the command does, into the test's own folder."""
    from slide_runs import Cohort

    return Cohort(tmp_path, slide_models)


@pytest.fixture(autouse=True)
def _seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pytest_collection_finish() -> None:
    """What is imported stays: each stage ends with a collection, which would look through all of it, for most of a second."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Share the cores among the processes that test: threads that compete for a core spin, and take minutes for seconds."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0))
    if not workers and config.getoption("numprocesses", None):
        return  # this one hands out the tests alone
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # in the environment, for the processes that tests start
    threads = int(os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // max(1, workers)))))
    torch.set_num_threads(threads)
