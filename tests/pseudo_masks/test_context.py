from __future__ import annotations

import numpy as np
import pytest
from scripts.core.image_writers import write_image
from scripts.pseudo_masks.context import windows


@pytest.fixture
def region(rng):
    return rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)


def _cut(folder, region, places, side=16):
    entries = []
    for y, x in places:
        path = folder / f"{y}_{x}.png"
        write_image(path, region[y : y + side, x : x + side])
        entries.append({"image": str(path), "name": path.stem, "group": "r", "position": [y, x]})
    return entries


@pytest.mark.parametrize("step", [16, 8])
def test_a_window_is_the_region_where_patches_show_it(tmp_path, region, step):
    """Patches side by side, and patches that overlap by half; the middle one has tissue on all sides."""
    entries = _cut(tmp_path, region, [(y, x) for y in range(0, 25, step) for x in range(0, 33, step)])
    read = windows(entries, 0.5)
    found = {tuple(e["position"]): read(e) for e in entries}
    assert all(w.shape == (32, 32, 3) for w in found.values())
    ends = (32 if step == 16 else 40, 48)
    for (y, x), window in found.items():
        inside = np.s_[max(0, y - 8) : min(ends[0], y + 24), max(0, x - 8) : min(ends[1], x + 24)]
        part = region[inside]
        top, left = max(0, 8 - y), max(0, 8 - x)
        np.testing.assert_array_equal(window[top : top + part.shape[0], left : left + part.shape[1]], part)


def test_patches_that_are_not_square_see_as_far_as_their_context(tmp_path, rng):
    """Patches of 8 x 32 px with a gap of 12 px: half a side is 4 px up and 16 px to the left, of which 4 are known."""
    region, entries = rng.integers(0, 256, (8, 76, 3), dtype=np.uint8), []
    for x in (0, 44):
        write_image(tmp_path / f"{x}.png", region[:, x : x + 32])
        entries.append({"image": str(tmp_path / f"{x}.png"), "name": str(x), "group": "r", "position": [0, x]})
    window = windows(entries, 0.5)(entries[1])
    assert window.shape == (16, 64, 3)
    np.testing.assert_array_equal(window[4:12, :4], region[:, 28:32])
    np.testing.assert_array_equal(window[4:12, 4:16], region[:, 44:56][:, ::-1])


def test_where_nothing_is_known_the_patch_is_mirrored(tmp_path, region):
    (one,) = _cut(tmp_path, region, [(0, 0)])
    lone = {k: one[k] for k in ("image", "name")}
    for entry in (one, lone):
        window = windows([entry], 0.25)(entry)
        np.testing.assert_array_equal(window, np.pad(region[:16, :16], ((4, 4), (4, 4), (0, 0)), mode="symmetric"))
    other = {**_cut(tmp_path, region, [(0, 16)])[0], "group": "elsewhere"}
    np.testing.assert_array_equal(windows([one, other], 0.25)(one), windows([one], 0.25)(one))
