from __future__ import annotations

import pytest
from scripts.core.names import unique_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/p.png", "b/q.nii.gz"], ["p", "q"]),
        (["a/p.png", "a/p.tif"], ["p_png", "p_tif"]),
        (["a/p.png", "b/p.png", "c.png"], ["a_p_png", "b_p_png", "c"]),
        (["case1/img/001.png", "case2/img/001.png"], ["case1_img_001_png", "case2_img_001_png"]),
        (["/1/x/img/p.png", "/2/x/img/p.png"], ["1_x_img_p_png", "2_x_img_p_png"]),
        (["a_b/c.png", "a/b_c.png", "x/c.png", "x/b_c.png"], ["a_b_c_png", "a_b_c_png_2", "x_c_png", "x_b_c_png"]),
        (["p.png", "p.png", "p.png"], ["p_png", "p_png_2", "p_png_3"]),
        (["p.png", "p_png.png", "q/p.png"], ["p_png", "p_png_png", "q_p_png"]),
        ([], []),
    ],
)
def test_names_are_as_long_as_it_takes(paths, names):
    found = unique_names(paths)
    assert found == names and len(set(found)) == len(found)


def test_bytes_that_are_not_utf8_are_written_out():
    name = b"caf\xe9 \xc3\xa9.png".decode("utf-8", "surrogateescape")
    assert unique_names([f"a/{name}"]) == [r"caf\xe9 é"]
    assert unique_names([f"a/{name}", r"b/caf\xe9 é.png"]) == [r"a_caf\xe9 é_png", r"b_caf\xe9 é_png"]


def test_names_leave_room_for_an_ending():
    long = ["é" * 120, "é" * 119 + "a"]
    found = unique_names([f"{name}.png" for name in long])
    assert len(set(found)) == 2 and all(len(n.encode()) <= 200 and n.startswith("é" * 90) for n in found)
    assert unique_names(["x" * 200 + ".png"]) == ["x" * 200]
