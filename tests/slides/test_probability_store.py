from __future__ import annotations

import numpy as np
import pytest
from made_maps import FACTS
from scripts.slides.probability_store import ProbabilityStore

zarr = pytest.importorskip("zarr")


def test_bands_are_written_and_gone_on_with(tmp_path, rng):
    path = tmp_path / "a.zarr"
    values = rng.dirichlet([1, 1, 1], (700, 600)).transpose(2, 0, 1).astype(np.float32)
    ProbabilityStore(path, (700, 600), FACTS, (1.0, 1.0)).write(0, values[:, :300])
    assert not path.exists()
    store = ProbabilityStore(path, (700, 600), FACTS, (1.0, 1.0))  # of a killed process
    store.write(250, values[:, 250:650])
    store.finish()
    group = zarr.open_group(str(path), mode="r")
    found = group["probabilities"][:]
    assert np.abs(found[:, :650] / 255 - values[:, :650]).max() <= 0.5 / 255 + 1e-6
    assert (found[:, 650:] == 0).all()
    ranked = np.sort(values[:, :650], axis=0)
    assert np.abs(group["certainty"][:650] / 255 - (ranked[2] - ranked[1])).max() <= 0.5 / 255 + 1e-6
    assert group.attrs["classes"] == list(FACTS.classes) and [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_the_certainty_is_that_of_tempered_probabilities(tmp_path):
    store = ProbabilityStore(tmp_path / "a.zarr", (1, 3), FACTS, (1.0, 1.0), temperature=0.5)
    store.write(0, np.array([[[0.8, 0.4, 0.0]], [[0.2, 0.1, 0.0]], [[0.0, 0.0, 0.0]]]))  # of the second, a class is gated
    store.finish()
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")
    assert group["probabilities"][:, 0].tolist() == [[204, 102, 0], [51, 26, 0], [0, 0, 0]]
    assert group["certainty"][0].tolist() == [225, 225, 0]  # 0.64 and 0.04, of their sum


def test_another_size_is_refused(tmp_path):
    ProbabilityStore(tmp_path / "a.zarr", (700, 600), FACTS, (1.0, 1.0))
    with pytest.raises(ValueError, match="expected"):
        ProbabilityStore(tmp_path / "a.zarr", (700, 601), FACTS, (1.0, 1.0))
