from __future__ import annotations

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.evaluation.label_cases import doubtful_rows, mask_case, predicted_image

FACTS = DatasetFacts(classes=("a<b", "c"), mpp=0.5)


def _row(name, label, shares):
    return {"name": name, "label": label, "shares": shares}


def test_a_training_patch_is_shown_with_the_masks_that_there_are(tmp_path, rng):
    write_image(tmp_path / "p.png", rng.integers(0, 255, (300, 600, 3), dtype=np.uint8))
    for layer in ("x", "refined"):
        write_mask(tmp_path / layer / "p.png", np.zeros((300, 600), np.uint8), FACTS)
    entry = {"image": str(tmp_path / "p.png"), "name": "p", "label": [1, 1]}
    case = mask_case(entry, ["one", "two"], tmp_path, ["x", "y", "refined"], FACTS)
    assert [title for title, _ in case.more] == ["image", "x", "refined"] and not case.panels
    assert case.note == "one; two. Label: a<b, c." and case.score is None
    write_mask(tmp_path / "y/p.png", np.zeros((30, 60), np.uint8), FACTS)
    with pytest.raises(ValueError, match=r"y/p.png: found \(30, 60\) px \(H, W\), expected its patch's \(300, 600\)"):
        mask_case(entry, ["one"], tmp_path, ["y"], FACTS)
    shown = case.more[0][1]
    assert shown.shape == (144, 288, 3) and case.mpp * shown.shape[1] == 0.5 * 600


def test_a_window_is_shown_as_the_networks_saw_it(tmp_path, rng):
    image = rng.integers(0, 255, (16, 32, 3), dtype=np.uint8)
    write_image(tmp_path / "v.png", image)
    write_mask(tmp_path / "m.png", np.ones((16, 16), np.uint8), FACTS)
    row = {**_row("v-0-16", [1, 0], [0.0, 1.0]), "image": str(tmp_path / "v.png"), "map": str(tmp_path / "m.png")}
    found = predicted_image({**row, "corner": (0, 16)}, ["c 100 %"], FACTS)
    assert np.array_equal(found.image, image[:, 16:]) and found.label_map.shape == (16, 16) and found.mpp == 0.5
    assert found.note == "c 100 %. Label: a&lt;b." and found.name == "v-0-16"


def test_doubtful_patches_are_those_with_most_of_what_nobody_named_then_those_that_lack_what_is_named():
    rows = [
        _row("p1", [1, 0], [0.5, 0.5]), _row("p2", [1, 0], [0.1, 0.9]), _row("p3", [1, 0], [0.9, 0.1]),
        _row("p4", [0, 1], [0.0, 1.0]), _row("p5", [0, 1], [0.99, 0.01]), _row("p6", [0, 1], [0.98, 0.02]),
    ]  # fmt: skip
    found = doubtful_rows(rows, ("a", "c"), 0.02, most=24)
    assert [(row["name"], why) for row, why in found] == [
        ("p5", ["a 99\u00a0% of the patch, not named", "c 1\u00a0% of the patch, named"]),
        ("p6", ["a 98\u00a0% of the patch, not named"]),
        ("p2", ["c 90\u00a0% of the patch, not named"]),
        ("p1", ["c 50\u00a0% of the patch, not named"]),
    ]
    assert [row["name"] for row, _ in doubtful_rows(rows, ("a", "c"), 0.02, most=1)] == ["p5"]
    assert doubtful_rows(rows, ("a", "c"), 0.02, most=0) == []
