from __future__ import annotations

import numpy as np
import pytest
import torch
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image
from scripts.data.datalist import write_datalist
from scripts.export.known_patches import known_patches


def test_drawn_tissue_is_the_same_for_a_seed():
    patches = known_patches(None, 2, (70, 91), seed=3)
    assert patches.shape == (2, 3, 70, 91) and patches.dtype == torch.float32
    assert 0 <= patches.min() < 0.5 < patches.max() <= 1
    assert torch.equal(patches, known_patches(None, 2, (70, 91), seed=3))
    assert not torch.equal(patches, known_patches(None, 2, (70, 91), seed=4))


def test_training_patches_are_drawn_from_and_brought_to_size(tmp_path):
    images = {}
    for number, size in enumerate([(40, 40), (30, 50), (40, 40)]):
        images[number] = np.full((*size, 3), 10 * number, np.uint8)
        images[number][0] = 200
        write_image(tmp_path / f"{number}.png", images[number])
    entries = [{"image": f"{number}.png", "label": [1, 0]} for number in images]
    facts = DatasetFacts(classes=("a", "b"))
    write_datalist(tmp_path / "datalist.json", facts, {"training": entries, "test": [{"image": "none.png"}]})
    patches = known_patches(tmp_path, 9, (40, 40))
    assert len(patches) == 3
    for number, patch in enumerate(patches):
        assert patch[0, 1, 0] == pytest.approx(10 * number / 255) and patch[0, 0, 39] == pytest.approx(200 / 255)
    assert len(known_patches(tmp_path, 2, (40, 40))) == 2
    write_datalist(tmp_path / "datalist.json", facts, {"training": []})
    with pytest.raises(ValueError, match="no training patches to check exports on"):
        known_patches(tmp_path, 2, (40, 40))
