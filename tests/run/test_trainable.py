from __future__ import annotations

import numpy as np
import pytest
from scripts.core.image_writers import write_image
from scripts.run.pipeline import run_pipeline


@pytest.mark.parametrize(
    ("labels", "overrides", "message"),
    [
        ([[1]] * 6, {}, "found a single class"),
        ([[1, 0]], {}, "class never present|found 1 patch to train on"),
        ([[1, 1]] * 2, {}, "found 1 patch to train on; expected two at the very least"),
        ([[1, 1]] * 6, {}, "expected labels that differ"),
        ([[1, 0], [0, 1]] * 3, {"train": {"batch_size": 1}}, "train: found a batch of a single patch"),
        ([[1, 0], [0, 1]] * 3, {"train_classifier": {"batch_size": 1}}, "train_classifier: found a batch of a single patch"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_before_any_stage_is_run(tmp_path, rng, labels, overrides, message):
    raw = tmp_path / "raw"
    names = ["a", "b"][: len(labels[0])]
    rows = ["image," + ",".join(names)]
    for i, label in enumerate(labels):
        write_image(raw / f"p{i}.png", rng.integers(0, 150, (32, 32, 3), dtype=np.uint8))
        rows.append(f"p{i}.png," + ",".join(map(str, label)))
    (raw / "labels.csv").write_text("\n".join(rows))
    places = {k: str(tmp_path / k) for k in ("dataset_dir", "output_dir", "model_dir")}
    with pytest.raises((ValueError, SystemExit), match=message):
        run_pipeline(**places, source=str(raw), prepare={"layout": "patches"}, overrides=overrides, progress=False)
    assert not list((tmp_path / "model_dir").glob("*"))
    assert not [p for p in (tmp_path / "output_dir").glob("*") if p.is_dir()]
