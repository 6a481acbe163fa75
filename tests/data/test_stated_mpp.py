from __future__ import annotations

import logging

import numpy as np
import pytest
import tifffile
from scripts.core.facts import DatasetFacts, load_facts
from scripts.core.image_writers import write_image, write_mask
from scripts.data.prepare import prepare
from scripts.data.stated_mpp import with_stated_mpp

FACTS = DatasetFacts(classes=("a", "b"))


def _image(path, mpp, seed=0):
    image = np.random.default_rng(seed).integers(0, 200, (32, 32, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    if mpp is None:
        write_image(path, image)
    else:
        tifffile.imwrite(path, image, photometric="rgb", resolution=(1e4 / mpp, 1e4 / mpp), resolutionunit="CENTIMETER")
    return path


def _images(folder, sizes):
    return [_image(folder / f"i{k}{'.png' if mpp is None else '.tif'}", mpp, k) for k, mpp in enumerate(sizes)]


@pytest.mark.parametrize(
    ("said", "stated", "mpp", "warns"),
    [
        (None, [0.5, 0.5], 0.5, None),
        (None, [0.25, 0.2528], 0.25, None),
        (None, [None, None], None, None),
        (None, [0.5, 0.25], None, "the files of 2 of 2 images state 0.25 to 0.5"),
        (None, [0.5, None], None, "the files of 1 of 2 images state 0.5"),
        (0.5, [0.5, None], 0.5, None),
        (1.0, [0.5, 1.0], 1.0, "the dataset says 1.0 µm/px, but the files of 1 of 2 images state another"),
    ],
)
def test_what_files_state(tmp_path, said, stated, mpp, warns, caplog):
    with caplog.at_level(logging.WARNING):
        facts = with_stated_mpp(DatasetFacts(classes=("a",), mpp=said), _images(tmp_path, stated), 0)
    assert facts.mpp == mpp
    assert (caplog.messages == []) if warns is None else (warns in caplog.messages[0])


def test_regions_are_scaled_from_what_their_files_state(tmp_path):
    for k in range(3):
        _image(tmp_path / f"raw/images/r{k}.tif", 0.25, k)
        write_mask(tmp_path / f"raw/masks/r{k}.png", np.eye(32), FACTS)
    prepare(tmp_path / "raw", tmp_path / "set", FACTS.to_dict(), patch_size=8, scale=0.5, progress=False)
    assert load_facts(tmp_path / "set").mpp == 0.5


def test_patches_keep_what_their_files_state(tmp_path):
    for k in range(4):
        _image(tmp_path / f"raw/s{k}-0-0[1 0].tif", 0.25, k)
    prepare(tmp_path / "raw", tmp_path / "set", FACTS.to_dict(), layout="patches", progress=False)
    assert load_facts(tmp_path / "set").mpp == 0.25
