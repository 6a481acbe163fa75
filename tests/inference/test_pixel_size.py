from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from scripts.core import geometry
from scripts.core.geometry import Geometry
from scripts.core.image_writers import write_image
from scripts.inference import pixel_size
from scripts.inference.pixel_size import PixelSize, Scaled


@pytest.mark.parametrize(
    ("setting", "listed", "file", "expected", "source"),
    [
        (1.0, (0.25, 0.25), (2.0, 2.0), (1.0, 1.0), "setting"),
        (None, (0.25, 0.25), (2.0, 2.0), (0.25, 0.25), "list"),
        (None, None, (2.0, 2.0), (2.0, 2.0), "file"),
        ([0.25, 1], None, None, (0.25, 1.0), "setting"),
        (None, None, None, None, ""),
    ],
)
def test_whose_word_counts(setting, listed, file, expected, source):
    found = PixelSize(0.5, setting).of((40, 60), Geometry(file), listed)
    assert found.geometry.mpp == expected and found.source == source
    size = None if expected is None else (round(40 * expected[0] / 0.5), round(60 * expected[1] / 0.5))
    assert found.size == size


@pytest.mark.parametrize(("mpp", "size"), [(0.5, None), (0.524, None), (0.476, None), (0.53, (42, 64)), (0.47, (38, 56))])
def test_what_is_as_good_as_equal_is_left_alone(mpp, size):
    assert PixelSize(0.5).of((40, 60), Geometry((mpp, mpp))).size == size


def test_without_the_weights_pixel_size_nothing_is_resampled():
    found = PixelSize(None).of((40, 60), Geometry((0.1, 0.1)))
    assert found.size is None and found.geometry.mpp == (0.1, 0.1)


def test_a_known_mismatch_that_is_not_to_be_resampled_is_refused():
    with pytest.raises(ValueError, match=r"^mpp: found 0.25 µm/px, the weights are for 0.5 µm/px, and resample is off"):
        PixelSize(0.5, 0.25, resample=False)
    other = PixelSize(0.5, resample=False)
    with pytest.raises(ValueError, match=r"^x\.tif: found 0.25 µm/px"):
        other.of((40, 60), Geometry((0.25, 0.25)), where="x.tif")
    assert other.of((40, 60), Geometry((0.5, 0.5))).size is None and other.of((40, 60), Geometry()).size is None


@pytest.mark.parametrize("mpp", [0, -0.5, 1e-4, 5000, "half", True, [0.5, 0], [0.5]])
def test_absurd_pixel_sizes_are_refused(mpp):
    with pytest.raises(ValueError, match=r"^mpp.*0\.01 to 100"):
        PixelSize(0.5, mpp)


@pytest.mark.parametrize("mpp", [20, 0.01, [0.5, 20]])
def test_pixels_of_another_world_are_refused(mpp):
    with pytest.raises(ValueError, match=r"^mpp: found .* the weights are for 0\.5 µm/px, more than 32 times apart"):
        PixelSize(0.5, mpp)
    file = tuple(mpp) if isinstance(mpp, list) else (mpp, mpp)
    with pytest.raises(ValueError, match=r"^x\.tif: found .* more than 32 times apart"):
        PixelSize(0.5).of((40, 60), Geometry(file), where="x.tif")
    assert PixelSize(None, mpp).of((40, 60), Geometry()).size is None
    assert PixelSize(0.5, 16).of((4, 6), Geometry()).size == (128, 192)


def test_an_image_that_would_grow_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(pixel_size, "MAX_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"^x\.tif: 40 x 60 px of 2 µm/px are 160 x 240 px at the weights' 0.5 µm/px"):
        PixelSize(0.5, 2.0).of((40, 60), Geometry(), where="x.tif")


def test_warnings_come_once(caplog):
    size = PixelSize(0.5)
    with caplog.at_level(logging.WARNING):
        for name in "ab":
            size.tell(size.of((4, 4), Geometry()), f"{name}.png")
        size.tell(size.of((4, 4), Geometry((0.5, 0.5))), "known.png")
        setting = PixelSize(0.5, 0.5)
        setting.tell(setting.of((4, 4), Geometry((0.25, 0.25))), "other.tif")
        PixelSize(None).tell(PixelSize(None, 1.0).of((4, 4), Geometry()), "c.png")
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["a.png", "other.tif", "c.png"]
    assert "mm²" in caplog.records[0].getMessage() and "says 0.25 µm/px, the setting's 0.5" in caplog.records[1].getMessage()


def test_images_are_asked_and_left_alone(tmp_path):
    write_image(tmp_path / "x.png", np.zeros((10, 12, 3), np.uint8), (0.25, 0.25))
    entry, image = {"image": str(tmp_path / "x.png")}, torch.zeros(3, 10, 12)
    found = Scaled("image", PixelSize(0.5))({"image": image, "entry": entry, "fault": ""})
    assert found["scaling"].size == (5, 6) and found["image"] is image and found["fault"] == ""
    entry = {**entry, "mpp": (1.0, 1.0)}
    assert Scaled("image", PixelSize(0.5))({"image": image, "entry": entry})["scaling"].size == (20, 24)
    strict = Scaled("image", PixelSize(0.5, resample=False))
    found = strict({"image": image, "entry": entry, "fault": ""})
    assert "x.png: found 1 µm/px" in found["fault"] and found["image"].shape == (3, 1, 1)
    with pytest.raises(ValueError, match="found 1 µm/px"):
        strict({"image": image, "entry": entry})
    assert strict({"image": image, "entry": entry, "fault": "broken"})["fault"] == "broken"


def test_range_is_that_of_the_facts():
    assert geometry.MPP.low == 0.01 and geometry.MPP.high == 100
