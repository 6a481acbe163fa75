from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts, load_facts
from scripts.core.image_writers import write_image, write_mask
from scripts.data.check import assert_sound, check_dataset
from scripts.data.prepare import prepare
from scripts.data.white_choice import SAMPLE, WhiteShares, sample

FACTS = DatasetFacts(classes=("a", "b"))


def _half_white(value=120):
    image = np.full((32, 32, 3), value, np.uint8)
    image[:16] = 240
    return image


@pytest.mark.parametrize(
    ("mask", "background"),
    [
        (None, True),
        (np.r_[np.full((16, 32), 2), np.zeros((16, 32))], True),  # white is not annotated
        (np.zeros((32, 32)), False),  # white is tissue
    ],
)
def test_the_safer_choice(mask, background, caplog):
    shares = WhiteShares()
    shares.add(_half_white(), None if mask is None else mask.astype(np.uint8), FACTS)
    assert shares.share == 0.5
    with caplog.at_level(logging.WARNING):
        assert shares.choose() is background
    (line,) = caplog.messages
    assert "50.0 % of the pixels of 1 images are white" in line and "\n" not in line
    assert f"white_background: {str(background).lower()}" in line
    assert f"set white_background: {str(not background).lower()}" in line and "--dataset#white_background" in line


def test_the_sample_is_drawn_by_seed():
    assert sample([3, 1, 2], 0) == [3, 1, 2]
    items = list(range(1000))
    drawn = sample(items, 0)
    assert len(drawn) == SAMPLE and drawn == sorted(set(drawn)) == sample(items, 0) != sample(items, 1)


def _patches(raw, count=6):
    for i in range(count):
        write_image(raw / f"p{i}.png", _half_white(100 + i))
    rows = [f"p{i}.png,{i % 2},{1 - i % 2}" for i in range(count)]
    (raw / "labels.csv").write_text("\n".join(["image,a,b", *rows]))
    return raw


def _prepare(source, target, **settings):
    return prepare(source, target, **{"layout": "patches", "progress": False, **settings})


def test_a_table_says_nothing_of_white_so_it_is_measured_and_said(tmp_path, caplog):
    """Patches that are half glass."""
    with caplog.at_level(logging.WARNING):
        _prepare(_patches(tmp_path / "raw"), tmp_path / "set")
    assert [m for m in caplog.messages if "50.0 % of the pixels of 6 images are white" in m]
    assert load_facts(tmp_path / "set").white_background is True
    record = json.loads((tmp_path / "set/prepare.json").read_text())
    assert record["white"] == {"white_background": True, "share": 0.5}
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert_sound(tmp_path / "set", progress=False)
    line = "50.0 % of the pixels of 6 images are white; white is a background of its own (white_background: true)"
    assert any(line in m for m in caplog.messages)


@pytest.mark.parametrize("said", [False, True])
def test_what_is_said_is_not_measured(tmp_path, caplog, said):
    with caplog.at_level(logging.WARNING):
        _prepare(_patches(tmp_path / "raw"), tmp_path / "set", dataset={"white_background": said})
    assert not [m for m in caplog.messages if "white" in m]
    assert load_facts(tmp_path / "set").white_background is said
    assert "white" not in json.loads((tmp_path / "set/prepare.json").read_text())


@pytest.mark.parametrize(("tissue", "background"), [(False, True), (True, False)])
def test_true_masks_of_regions_tell_what_white_is(tmp_path, tissue, background):
    for i in range(4):
        mask = np.ones((32, 32))
        mask[:16] = 0 if tissue else 2
        mask[16:, :4] = 0
        write_image(tmp_path / f"raw/images/r{i}.png", _half_white(100 + i))
        write_mask(tmp_path / f"raw/masks/r{i}.png", mask, FACTS)
    prepare(tmp_path / "raw", tmp_path / "set", dataset={"classes": ["a", "b"]}, patch_size=16, progress=False)
    assert load_facts(tmp_path / "set").white_background is background


def test_a_datalist_may_say_it(tmp_path):
    write_image(tmp_path / "raw/p.png", _half_white())
    content = {"classes": ["a", "b"], "training": [{"image": "p.png", "label": [1, 0]}]}
    for said, expected in ((None, True), (False, False)):
        facts = {} if said is None else {"white_background": said}
        (tmp_path / "raw/datalist.json").write_text(json.dumps({**content, **facts}))
        _prepare(tmp_path / "raw", tmp_path / f"set{said}", layout="datalist")
        assert load_facts(tmp_path / f"set{said}").white_background is expected


def test_the_check_warns_of_a_datalist_that_does_not_say_it(tmp_path):
    _prepare(_patches(tmp_path / "raw"), tmp_path / "set")
    path = tmp_path / "set/datalist.json"
    content = json.loads(path.read_text())
    del content["white_background"]
    path.write_text(json.dumps(content))
    (fault,) = [f for f in check_dataset(tmp_path / "set", progress=False) if f.kind == "white background"]
    assert fault.severity == "warning" and "50.0 % of the pixels" in fault.found and "false is taken" in fault.expected
