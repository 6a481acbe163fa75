from __future__ import annotations

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_mask
from scripts.evaluation.depth_agreement import agreement_figures, agreement_of, chosen_patches, patch_agreement

FACTS = DatasetFacts(classes=("a", "b", "c"), white_background=True)
WHITE = FACTS.white_value


def _masks(*rows):
    return np.array(rows, np.uint8)[:, None]


def test_agreement_of_a_patch_counts_pixels_that_all_and_that_any_of_the_depths_give():
    found = patch_agreement("p", [1, 1, 0], _masks([0, 0, 1, 1, WHITE], [0, 1, 1, 1, WHITE], [0, 0, 0, 1, 1]))
    assert found.all_depths.tolist() == [1, 1, 0] and found.any_depth.tolist() == [3, 4, 0]
    assert found.tissue == 5 and found.agreed == 2
    assert found.pairs[:, 0].tolist() == [[1, 2], [2, 3], [1, 3]]
    assert found.pairs[:, 1].tolist() == [[2, 3], [1, 3], [1, 4]] and not found.pairs[:, 2].any()
    assert found.share(0) == pytest.approx(1 / 3) and found.share(2) == 0.0


def test_figures_count_the_pixels_of_all_patches_together():
    patches = [
        patch_agreement("p", [1, 1, 0], _masks([0, 0, 1, 1], [0, 1, 1, 1])),
        patch_agreement("q", [1, 1, 0], _masks([0, 0, 0, WHITE], [0, 0, 0, WHITE])),
    ]
    found = agreement_figures(patches, ["x", "y"], FACTS.classes)
    assert found["layers"] == ["x", "y"] and found["patches"] == 2 and found["tissue"] == pytest.approx(6 / 7)
    assert found["classes"] == {"a": pytest.approx(4 / 5), "b": pytest.approx(2 / 3), "c": None}
    assert found["pairs"] == {"x/y": found["classes"]}
    empty = agreement_figures([], ["x", "y"], FACTS.classes)
    assert empty["tissue"] is None and empty["classes"] == dict.fromkeys("abc") == empty["pairs"]["x/y"]


def test_patches_of_one_class_or_without_all_their_masks_are_not_compared(tmp_path):
    entries = [{"name": n, "label": label} for n, label in (("one", [1, 0, 0]), ("two", [1, 1, 0]), ("half", [1, 1, 0]))]
    for layer in ("x", "y"):
        for name in ("one", "two", "half")[: 3 if layer == "x" else 2]:
            write_mask(tmp_path / layer / f"{name}.png", np.zeros((4, 6), np.uint8), FACTS)
    found = agreement_of(entries, tmp_path, ["x", "y"], FACTS, progress=False)
    assert [p.name for p in found] == ["two"] and found[0].agreed == 24
    assert agreement_of(entries, tmp_path, ["x"], FACTS, progress=False) == []  # nothing to agree with
    write_mask(tmp_path / "y/two.png", np.zeros((6, 4), np.uint8), FACTS)
    with pytest.raises(ValueError, match=r"y/two.png: found \(6, 4\) px \(H, W\), expected \(4, 6\) as .*x/two.png has"):
        agreement_of(entries, tmp_path, ["x", "y"], FACTS, progress=False)


def _patch(name, both, either, label=(1, 1, 0)):
    """Two depths that give ``both`` pixels to the first class, and one of them up to ``either``; the others to the second."""
    rows = np.ones((2, 100), np.uint8)
    rows[:, :both] = 0
    rows[0, :either] = 0
    return patch_agreement(name, label, rows[:, None])


def test_each_class_is_shown_where_the_depths_are_surest_least_sure_and_disagree_most():
    patches = [_patch("p1", 40, 90), _patch("p2", 0, 2), _patch("p3", 20, 21), _patch("p4", 50, 60)]
    entries = [{"name": p.name, "label": p.label} for p in patches]
    found = chosen_patches(patches, entries, ("a", "b", "c"), most=24)
    assert [next(p for p, why in found.items() if any(w.startswith(f"a: the depths {t}") for w in why)) for t in
            ("are surest", "are least sure", "disagree on most")] == ["p3", "p2", "p1"]  # fmt: skip
    assert found["p3"][0] == "a: the depths are surest (agreement 95\u00a0%)"
    assert found == chosen_patches(patches[::-1], entries[::-1], ("a", "b", "c"), most=24)  # whatever the order
    assert len(chosen_patches(patches, entries, ("a", "b", "c"), most=1)) == 1
    assert chosen_patches(patches, entries, ("a", "b", "c"), most=0) == {}


def test_the_surest_of_every_class_come_first():
    patches = [_patch(f"p{i}", 10 * i, 10 * i + 5 * (4 - i)) for i in range(1, 4)]
    entries = [{"name": p.name, "label": p.label} for p in patches]
    few = chosen_patches(patches, entries, ("a", "b", "c"), most=2)
    assert {why.split(":")[0] for reasons in few.values() for why in reasons} == {"a", "b"}


def test_a_class_that_is_only_named_alone_is_shown_too():
    entries = [{"name": n, "label": [0, 0, 1]} for n in ("z", "y")] + [{"name": "p1", "label": [1, 1, 0]}]
    found = chosen_patches([_patch("p1", 40, 90)], entries, ("a", "b", "c"), most=24)
    assert found["y"] == ["c: its label names nothing else"] and "z" not in found
