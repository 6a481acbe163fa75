from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scripts.core.facts import DatasetFacts
from scripts.data.mask_values import MaskShares, meanings, read_classes, refuse_unnamed

PLAIN = DatasetFacts(classes=("a", "b"))
ONE_BASED = DatasetFacts(classes=("a", "b"), mask_values={0: None, 1: "a", 2: "b"})
TOOL = DatasetFacts(classes=("a", "b"), mask_values={"7": "b", "50": "a", "200": "a", "255": None})


def _save(path, values):
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("facts", "stored", "classes"),
    [
        (PLAIN, [[0, 1, 2]], [[0, 1, 2]]),
        (ONE_BASED, [[0, 1, 2]], [[2, 0, 1]]),
        (TOOL, [[7, 50, 200, 255]], [[1, 0, 0, 2]]),
        (DatasetFacts(classes=("other", "gland"), mask_values={0: "other", 255: "gland"}), [[0, 255]], [[0, 1]]),
    ],
)
def test_values_become_classes(tmp_path, facts, stored, classes):
    mask = read_classes(_save(tmp_path / "m.png", stored), facts)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, classes)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (PLAIN, "found mask values [9] in 25.0 % of its pixels, expected 0 to 2; say in the dataset file"),
        (ONE_BASED, "found mask values [9] in 25.0 % of its pixels, expected one of mask_values, [0, 1, 2]"),
    ],
)
def test_a_value_that_means_nothing_is_named_with_its_share(tmp_path, facts, says):
    path = _save(tmp_path / "m.png", [[0, 1], [2, 9]])
    shares = MaskShares()
    with pytest.raises(ValueError) as error:
        read_classes(path, facts, shares)
    assert str(path) in str(error.value) and says in str(error.value)
    assert shares.pixels == {0: 1, 1: 1, 2: 1, 9: 1}  # counted all the same


def test_all_values_without_a_meaning_are_refused_at_once():
    shares = MaskShares()
    shares.add_mask("first.png", np.array([[0, 1, 3, 3]]))
    shares.add_mask("second.png", np.array([[0, 0, 3, 4]]))
    with pytest.raises(ValueError) as error:
        refuse_unnamed(shares, ONE_BASED)
    assert "3 (37.50 % of the pixels, 2 masks, as first.png)" in str(error.value)
    assert "4 (12.50 % of the pixels, 1 masks, as second.png)" in str(error.value)
    refuse_unnamed(shares, PLAIN)  # there, each file has its own message


def test_the_table_shows_values_and_classes():
    shares = MaskShares()
    shares.add_mask("m.png", np.array([[0, 0, 0, 2]]))
    shares.add_mask("n.png", np.array([[0, 0, 1, 9]]))
    assert shares.table(ONE_BASED).splitlines() == [
        "values of 2 true masks:",
        "value  class                               pixels  masks",
        "    0  white background or not annotated  62.50 %      2",
        "    1  a                                  12.50 %      1",
        "    2  b                                  12.50 %      1",
        "    9  unknown                            12.50 %      1",
    ]
    assert "  1  b" in shares.table(PLAIN) and meanings(PLAIN) == {0: 0, 1: 1, 2: 2}


@pytest.mark.parametrize(
    ("masks", "facts", "found"),
    [
        ([[0, 255]], PLAIN, "the values 0 and 255 alone"),
        ([[1, 2]], PLAIN, "no value 0 in any mask, and 2 as the highest"),
        ([[0, 2]], PLAIN, "no pixel of 'b' in 1 true masks"),
        ([[0, 2]], ONE_BASED, "no pixel of 'a' in 1 true masks"),
        ([[1, 1]], DatasetFacts(classes=("a",)), "no value 0 in any mask, and 1 as the highest"),
    ],
)
def test_suspicions(masks, facts, found):
    shares = MaskShares()
    shares.add_mask("m.png", np.array(masks))
    (first, expected), *_ = shares.suspicions(facts)
    assert first.startswith(found) and expected


@pytest.mark.parametrize(("masks", "facts"), [([[0, 1, 2]], PLAIN), ([[1, 2]], ONE_BASED), ([[0, 1]], PLAIN)])
def test_no_suspicion_without_a_reason(masks, facts):
    shares = MaskShares()
    assert shares.suspicions(facts) == []
    shares.add_mask("m.png", np.array(masks))
    assert shares.suspicions(facts) == []
