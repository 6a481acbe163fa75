from __future__ import annotations

import numpy as np
import pytest
from made_maps import FACTS, WHITE, Rows, smooth_map
from scripts.slides.slide_areas import slide_areas


def test_parts_of_the_map():
    labels = np.full((300, 1000), WHITE, np.uint8)
    labels[:100, :300], labels[:100, 300:400], labels[200:, :50] = 0, 2, 255
    found = slide_areas(Rows(labels), FACTS, (2.0, 0.5))
    assert found["areas"] == {
        "tumour": {"pixels": 30000, "mm2": 0.03, "percent": 75.0},
        "stroma": {"pixels": 0, "mm2": 0.0, "percent": 0.0},
        "necrosis": {"pixels": 10000, "mm2": 0.01, "percent": 25.0},
    }
    assert found["tissue"] == {"pixels": 40000, "mm2": 0.04}
    assert found["not_segmented"] == {"pixels": 5000, "mm2": 0.005}
    assert found["background"] == {"pixels": 255000, "mm2": 0.255}


def test_streams_and_needs_no_tissue():
    rows = Rows(smooth_map())
    found = slide_areas(rows, FACTS, (1.0, 1.0))
    assert rows.most == 256
    assert sum(found[k]["pixels"] for k in ("tissue", "background", "not_segmented")) == 700 * 900
    empty = slide_areas(Rows(np.full((9, 9), WHITE, np.uint8)), FACTS, (1.0, 1.0))
    assert empty["areas"]["tumour"]["percent"] == 0 and empty["tissue"]["mm2"] == 0


def test_strange_labels_are_named():
    with pytest.raises(ValueError, match="found the label 7, expected 0 to 3, or 255"):
        slide_areas(Rows(np.full((9, 9), 7, np.uint8)), FACTS, (1.0, 1.0))
