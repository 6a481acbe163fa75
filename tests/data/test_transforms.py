from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scripts.core.image_writers import write_image
from scripts.data.transforms import ReadImaged, ToUnitRanged


def test_bytes_become_shares_of_255(tmp_path):
    """Every byte, in a file and out of it: black is 0, white is 1, and nothing is lost on the way."""
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    write_image(tmp_path / "all.png", image)
    read = ReadImaged("image")({"image": str(tmp_path / "all.png"), "name": "all"})
    found = ToUnitRanged("image")(read)
    assert read["image"].dtype == torch.uint8 and found["image"].dtype == torch.float32
    expected = [k / 255 for k in range(256)]
    assert all(torch.equal(channel.flatten(), torch.tensor(expected)) for channel in found["image"])
    assert found["image"].min() == 0 and found["image"].max() == 1 and found["name"] == "all"


def test_a_range_reaches_the_reader(tmp_path):
    values = np.array([[0, 2000, 4000, 5000]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    read = ReadImaged("image", value_range=[0, 4000])({"image": str(tmp_path / "deep.png")})["image"]
    assert read.tolist() == [[[0, 128, 255, 255]]] * 3
    fault = ReadImaged("image", mark_faults=True)({"image": str(tmp_path / "deep.png")})["fault"]
    assert fault.startswith(f"{tmp_path / 'deep.png'}: found grey of 16 bits (uint16), expected 8 bits")
    with pytest.raises(ValueError, match="value_range: found"):
        ReadImaged("image", value_range=[4000, 0])
