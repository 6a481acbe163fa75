from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image
from scripts.data.datalist import write_datalist
from scripts.doctor.asked import data, tracking, weights
from tiny import write_models

FACTS = DatasetFacts(classes=("a", "b"), name="a set", mpp=0.5)


def test_weights_are_read_and_compared_with_their_description(tmp_path):
    models = write_models(tmp_path, FACTS)
    sha256 = json.loads((models / "model.json").read_text())["sha256"]
    found = {f.what: f for f in weights(models)}
    assert set(found) == {"weights of the classifier", "weights of the segmenter"}
    line = found["weights of the segmenter"]
    assert line.asked and (line.state, line.found) == (
        "ok", f"as described: recipe default, classes a, b, 0.5 µm/px, SHA-256 {sha256[:12]}",
    )  # fmt: skip
    (models / "model.pt").write_bytes((models / "classifier.pt").read_bytes())
    (models / "classifier.pt").unlink()
    found = {f.what: f for f in weights(models)}
    assert (
        found["weights of the classifier"].state == "missing" and "train first" in found["weights of the classifier"].found
    )
    assert (
        found["weights of the segmenter"].state == "differs" and "found SHA-256" in found["weights of the segmenter"].found
    )


def _dataset(folder):
    for name in ("p0", "p1", "t"):
        write_image(folder / f"{name}.png", np.zeros((8, 8, 3), np.uint8))
    entries = [{"image": f"p{i}.png", "label": [1, 0]} for i in range(2)]
    write_datalist(folder / "datalist.json", FACTS, {"training": entries, "validation": [], "test": [{"image": "t.png"}]})
    return folder


def test_a_prepared_dataset_has_all_its_files(tmp_path):
    line = data(_dataset(tmp_path))
    assert line.state == "ok"
    assert line.found.startswith("a set: classes a, b; 2 training, 0 validation, 1 test; all 3 files are there")
    (tmp_path / "p1.png").unlink()
    line = data(tmp_path)
    assert line.state == "missing" and f"1 of its 3 files are not there, such as {tmp_path / 'p1.png'}" in line.found
    (tmp_path / "datalist.json").write_text("{")
    assert data(tmp_path).state == "differs" and "not readable as JSON" in data(tmp_path).found


def test_images_to_segment_are_counted(tmp_path):
    assert data(tmp_path / "none").state == "missing"
    write_image(tmp_path / "images/a.png", np.zeros((8, 8, 3), np.uint8))
    assert (data(tmp_path / "images").state, data(tmp_path / "images").found.split(" (")[0]) == ("ok", "1 images to segment")
    assert [p.name for p in (tmp_path / "images").iterdir()] == ["a.png"]


@contextmanager
def _serving(status):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    asked: list = []
    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "state"), [(200, "ok"), (404, "differs")])
def test_a_server_is_asked_for_its_health(status, state):
    with _serving(status) as (port, asked):
        line = tracking(f"http://me:secret@127.0.0.1:{port}/")
    assert asked == [("/health", None)]
    assert line.state == state and f"http://127.0.0.1:{port}/health" in line.found and "secret" not in line.found


def test_a_server_that_does_not_answer():
    with _serving(200) as (port, _):
        pass
    line = tracking(f"http://127.0.0.1:{port}")
    assert line.state == "missing" and "no answer" in line.found and "track.yaml logs them later" in line.found


def test_a_file_of_runs(tmp_path, new_store):
    path = tmp_path / "all.db"
    assert tracking(f"sqlite:///{path}").found == f"{path} is not there yet, and can be made"
    assert not path.exists()
    path.write_bytes(new_store)
    assert (tracking(f"sqlite:///{path}").state, tracking(f"sqlite:///{path}").found) == ("ok", f"{path}: 0 runs")
    path.write_bytes(b"no database" * 100)
    assert tracking(f"sqlite:///{path}").state == "differs" and "no store of MLflow" in tracking(f"sqlite:///{path}").found
    assert tracking(f"sqlite:///{tmp_path}/none/all.db").state == "missing"


def test_another_kind_of_store_is_not_looked_at():
    line = tracking("databricks://me:secret@host")
    assert line.state == "differs" and "expected http://HOST:PORT or sqlite:///FILE" in line.found
    assert "secret" not in line.found
