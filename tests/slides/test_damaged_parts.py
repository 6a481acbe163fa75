"""What could not be read is painted in the rows of labels that hold it."""

from __future__ import annotations

import numpy as np
from scripts.slides.damaged_parts import DamagedParts
from scripts.slides.label_rows import NOT_SEGMENTED


def test_boxes_are_painted_over_bands_and_forgotten():
    damaged, tissue = DamagedParts(), np.ones((30, 10), bool)
    tissue[:, 8:] = False
    whole = np.zeros((30, 10), np.uint8)
    bands = [(0, 7), (7, 8), (8, 20), (20, 30)]
    for top, bottom in bands:
        if top == 0:
            damaged.boxes += [(5, 2, 10, 3), (5, 7, 2, 3)]
        if top == 8:
            damaged.boxes.append((25, 0, 9, 4))  # reaches over the map's end
        damaged.paint(top, whole[top:bottom], tissue[top:bottom])
        assert len(damaged.boxes) == {0: 1, 7: 1, 8: 1, 20: 1}[top]
    expected = np.zeros((30, 10), bool)
    expected[5:15, 2:5] = expected[5:7, 7:8] = expected[25:, :4] = True
    assert ((whole == NOT_SEGMENTED) == expected).all()
    assert damaged.pixels == expected.sum() and damaged.first == (5, 2)


def test_what_is_no_tissue_is_no_loss():
    damaged, labels = DamagedParts(), np.full((4, 4), 3, np.uint8)
    damaged.boxes.append((0, 0, 2, 2))
    damaged.paint(0, labels, np.zeros((4, 4), bool))
    assert (labels == 3).all() and damaged.first is None and not damaged.boxes
