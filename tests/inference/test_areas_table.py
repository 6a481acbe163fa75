from __future__ import annotations

import pytest
from scripts.core.facts import DatasetFacts
from scripts.inference.areas_table import areas_csv, totals

FACTS = DatasetFacts(classes=("TE", "NEC"), descriptions=("tumour epithelium", "NEC"), white_background=True)


def _row(image, te, nec, white=0, mpp=None, certainty=0.5):
    def part(pixels, **more):
        return {"pixels": pixels, **more, **({} if mpp is None else {"mm2": round(pixels * mpp[0] * mpp[1] * 1e-6, 6)})}

    shares = [round(100 * n / max(1, te + nec), 3) for n in (te, nec)]
    areas = {"NEC": part(nec, percent=shares[1]), "TE": part(te, percent=shares[0])}
    return {"image": image, "mpp": mpp, "areas": areas, "background": part(white), "certainty": certainty}


def test_the_table_of_images_whose_pixel_size_is_known():
    rows = [
        _row("/b.png", 3_000_000, 1_000_000, 500_000, (1.0, 1.0), 0.9),
        _row("/a.png", 0, 4_000_000, 0, (0.5, 1.0), 0.6),
        _row("/c.png", 0, 0, 100, (0.5, 0.5), None),
    ]
    # 4 mm² of the one and 2 of the other: by pixels NEC would be 62.5 %
    assert areas_csv(rows, FACTS) == (
        "image,µm/px y,µm/px x,certainty,"
        '"TE tumour epithelium, px","TE tumour epithelium, % of tissue","TE tumour epithelium, mm²",'
        '"NEC, px","NEC, % of tissue","NEC, mm²","white background, px","white background, mm²"\n'
        "/a.png,0.5,1.0,0.6,0,0.0,0.0,4000000,100.0,2.0,0,0.0\n"
        "/b.png,1.0,1.0,0.9,3000000,75.0,3.0,1000000,25.0,1.0,500000,0.5\n"
        "/c.png,0.5,0.5,,0,0.0,0.0,0,0.0,0.0,100,2.5e-05\n"
        "all images,,,0.8,3000000,50.0,3.0,5000000,50.0,3.0,500100,0.500025\n"
    )


def test_a_sum_of_mm2_is_one_of_all_images_or_none():
    rows = [_row("a", 3, 1, mpp=(1000.0, 1000.0)), _row("b", 1, 3)]
    lines = [line.split(",") for line in areas_csv(rows, FACTS).splitlines()]
    assert lines[2] == ["b", "", "", "0.5", "1", "25.0", "", "3", "75.0", "", "0", ""]
    assert lines[3] == ["all images", "", "", "0.5", "4", "50.0", "", "4", "50.0", "", "0", "0.0"]
    # an image without tissue has no mm² of it, whatever its pixels
    found = totals([rows[0], _row("c", 0, 0, 5, certainty=None)], FACTS)
    assert found.mm2 == {"TE": 3.0, "NEC": 1.0} and found.share == {"TE": 0.75, "NEC": 0.25} and found.certainty == 0.5


def test_without_pixel_sizes_there_is_no_column_of_mm2():
    facts = DatasetFacts(classes=FACTS.classes)
    row = {k: v for k, v in _row("a", 1, 0).items() if k != "background"}
    assert areas_csv([row], facts) == (
        'image,µm/px y,µm/px x,certainty,"TE, px","TE, % of tissue","NEC, px","NEC, % of tissue"\n'
        "a,,,0.5,1,100.0,0,0.0\n"
        "all images,,,0.5,1,100.0,0,0.0\n"
    )


def test_results_of_before_lack_what_they_lack():
    rows = [
        {"image": "old", "areas": {"TE": {"pixels": 2, "percent": 100.0}, "gone": {"pixels": 9}, "NEC": None}},
        {**_row("new", 1, 1), "not_segmented": {"pixels": 7}},
        {"image": "strange", "mpp": None, "areas": {"TE": {"pixels": "many"}}, "certainty": None},
    ]
    head, *lines = areas_csv(rows, FACTS).splitlines()
    assert head.endswith('"white background, px","not segmented, px"')
    assert lines == [
        "new,,,0.5,1,50.0,1,50.0,0,7",
        "old,,,,2,100.0,,,,",
        "strange,,,,many,,,,,",
        "all images,,,,3,75.0,1,25.0,0,7",
    ]


def test_nothing_comes_to_nothing():
    assert areas_csv([], FACTS).count("\n") == 1
    found = totals([], FACTS)
    assert (found.mm2, found.share, found.certainty) == ({}, {}, None)
    found = totals([_row("a", 0, 0, 5, (1.0, 1.0), None)], FACTS)
    assert found.certainty is None and found.share == {} and found.pixels["background"] == 5
    assert found.mm2 == pytest.approx({"TE": 0, "NEC": 0, "background": 5e-6})
