"""Against a real MLflow server, with a database and a store of artifacts of its own, over HTTP."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import numpy as np
import pytest
from packed import write_real_models
from scripts.inference import load_model
from scripts.package.pyfunc_model import PyfuncModel
from scripts.run.stage import Stage
from scripts.run.track import track
from scripts.run.tracking import Tracker

NAME = "little tissue"
EXPERIMENT = "tissue-segmentation"
fork = multiprocessing.get_context("fork")  # processes that have MLflow imported already

# a process that has neither the bundle nor its weights
ELSEWHERE = """
import sys, mlflow, numpy
model = mlflow.pyfunc.load_model(sys.argv[1])
image = numpy.load("image.npy")
numpy.savez("found.npz", plain=model.predict(image), other=model.predict(image, params={"mpp": 1.0}))
code = sys.modules["scripts"].__file__
assert not code.startswith(sys.argv[2]), code
"""


class Server:
    """An MLflow server on loopback, to be killed and started again."""

    def __init__(self, folder: Path, store: bytes) -> None:
        self.folder = folder
        (folder / "store.db").write_bytes(store)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{self.folder}/store.db", "--serve-artifacts",
             "--artifacts-destination", str(self.folder / "artifacts")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )  # fmt: skip
        while not self._answers():
            assert self.process.poll() is None, "the server has ended"
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(self.uri)

    def runs(self) -> list[mlflow.entities.Run]:
        return self.client().search_runs([self.client().get_experiment_by_name(EXPERIMENT).experiment_id])


@pytest.fixture(scope="module")
def server(tmp_path_factory, new_store):
    server = Server(tmp_path_factory.mktemp("server"), new_store)
    yield server
    server.kill()


def _trained(out: Path, seed: int = 1) -> Path:
    """A run folder with weights and what was tracked of their training."""
    Stage("train", str(out), config={"lr": 0.1}).start().finish({"best": {"score": 0.75}}, [])
    write_real_models(out / "models", seed=seed)
    return out


def _versions(client, name=NAME):
    return sorted(client.search_model_versions(f"name = '{name}'"), key=lambda v: int(v.version))


def test_a_registered_model_segments_elsewhere_as_the_bundle_does(server, tmp_path, rng, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    out = _trained(tmp_path / "out")
    image = np.kron(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
    track(str(out), register=NAME)
    (version,) = _versions(server.client())

    there = tmp_path / "there"
    there.mkdir()
    np.save(there / "image.npy", image)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    bundle = str(Path(__file__).parents[2] / "bundle")
    uri = f"models:/{NAME}/{version.version}"
    subprocess.run([sys.executable, "-c", ELSEWHERE, uri, bundle], cwd=there, env=environment, check=True)
    own = load_model(out / "models")
    with np.load(there / "found.npz") as found:
        assert np.array_equal(found["plain"], own.segment(image).label_map)
        assert np.array_equal(found["other"], own.segment(image, mpp=1.0).label_map)
        assert len(np.unique(found["plain"])) > 1 and not np.array_equal(found["plain"], found["other"])

    info = mlflow.models.get_model_info(uri)
    assert info.metadata["values"] == {"0": "TUM", "1": "STR", "2": "LYM", "3": "white background"}
    assert info.metadata["mpp"] == 0.5 and info.metadata["patch_size"] == [32, 32]
    assert info.signature.inputs.to_dict()[0]["tensor-spec"] == {"dtype": "uint8", "shape": (-1, -1, 3)}
    assert "- 0: TUM (tumour)" in version.description and "0.5 µm/px" in version.description
    assert version.tags == PyfuncModel(out / "models").digests
    train = server.client().get_run(version.run_id)
    assert train.data.tags["stage"] == "train" and train.info.status == "FINISHED"
    assert [o.model_id for o in train.outputs.model_outputs] == [info.model_id]

    # the same weights, from wherever, are the same version; others are another
    assert track(str(out), register=NAME) == {"train": 0}
    track(str(out), register=NAME, model_dir=str(shutil.copytree(out / "models", tmp_path / "copy")))
    assert len(_versions(server.client())) == 1
    track(str(_trained(tmp_path / "new", seed=2)), register=NAME)
    assert [int(v.version) for v in _versions(server.client())] == [1, 2]


def _crashes(out, last):
    """A process that tracks epochs, and is killed."""
    tracker = Tracker(out, EXPERIMENT, "train")
    tracker.title = "crashes"
    tracker.open(resumes=True)
    for epoch in range(1, last + 1):
        tracker.log_metrics({"loss": 1 / epoch}, epoch)
    os.kill(os.getpid(), signal.SIGKILL)


def _killed(out, last):
    process = fork.Process(target=_crashes, args=(out, last))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_killed_with_or_without_a_server_and_continued_it_is_one_run_with_all_its_epochs(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    out = tmp_path / "out"
    _killed(out, 2)
    server.kill()
    _killed(out, 4)
    server.start()
    tracker = Tracker(out, EXPERIMENT, "train")
    run_id = tracker.open(resumes=True)
    tracker.log_metrics({"loss": 1 / 5}, 5)
    tracker.close()
    (run,) = [r for r in server.runs() if r.info.run_name == "crashes"]
    assert run.info.run_id == run_id and run.info.status == "FINISHED"
    history = server.client().get_metric_history(run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(k, 1 / k) for k in range(1, 6)]


# --- without a server: the run folder's own store ------------------------------------------------------------------------


@pytest.fixture
def out(tmp_path, new_store):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mlruns.db").write_bytes(new_store)
    return _trained(tmp_path / "out")


def _client(out):
    return mlflow.MlflowClient(f"sqlite:///{out}/mlruns.db")


@pytest.mark.parametrize("broken", ["log_model_artifacts", "finalize_logged_model", "create_model_version"])
def test_interrupted_it_is_completed_and_nothing_is_there_twice(out, monkeypatch, broken):
    def fails(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(mlflow.MlflowClient, broken, fails)
        with pytest.raises(ConnectionError, match="No space left on device; nothing is lost: run this again"):
            track(str(out), register=NAME)
    client = _client(out)
    assert _versions(client) == []
    track(str(out), register=NAME)
    (version,) = _versions(client)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    (logged,) = client.search_logged_models([experiment])
    assert logged.status == "READY" and version.source == logged.artifact_location


def test_a_moved_run_has_its_model_with_it(out, tmp_path):
    track(str(out), register=NAME)
    moved = out.rename(tmp_path / "moved")
    assert track(str(moved), register=NAME) == {"train": 0}
    (version,) = _versions(_client(moved))
    assert version.source.startswith(f"{moved.as_uri()}/mlruns/")
    image = np.full((40, 40, 3), 150, np.uint8)
    segmented = mlflow.pyfunc.load_model(version.source, model_config={"quality": "best", "device": "cpu"}).predict(image)
    assert np.array_equal(segmented, load_model(moved / "models", "cpu", quality="best").segment(image).label_map)
    example = Path(unquote(urlsplit(version.source).path)) / "serving_input_example.json"
    served = mlflow.models.validate_serving_input(version.source, example.read_text())
    assert served.shape == (32, 32) and served.dtype == np.uint8


def test_what_cannot_be_registered_is_refused_before_anything_is_logged(out, tmp_path):
    with pytest.raises(ValueError, match=r"register: found 'a/b', expected up to 100 letters"):
        track(str(out), register="a/b")
    with pytest.raises(ValueError, match="name both, or leave it out"):
        track(str(out), model_dir=str(out / "models"))
    with pytest.raises(FileNotFoundError, match=r"no weights at .*elsewhere.classifier\.pt"):
        track(str(out), register=NAME, model_dir=str(tmp_path / "elsewhere"))
    (out / "models/model.pt").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"not the weights that model\.json describes"):
        track(str(out), register=NAME)
    Tracker(tmp_path / "other", EXPERIMENT, "evaluate").open()
    with pytest.raises(FileNotFoundError, match=r"found no tracking\.jsonl of a training"):
        track(str(tmp_path / "other"), register=NAME)
    assert _versions(_client(out)) == []
