from __future__ import annotations

import pytest
from scripts.data.places import place_by_name, places_by_name


@pytest.mark.parametrize(
    ("name", "group", "slide"),
    [
        ("1031280-2300-27920-[1 0 0 1]", "1031280", "1031280"),  # LUAD-HistoSeg: patient, x, y
        ("385277-44539-46781", "385277", "385277"),
        ("TCGA-A1-A0SK-DX1_xmin57214_ymin25940_MPP-0.2500+0[1101]", "TCGA-A1-A0SK", "TCGA-A1-A0SK-DX1"),  # BCSS-WSSS
        ("TCGA-A1-A0SK-DX1_xmin45749_ymin25055_MPP-0.2500+[1101]", "TCGA-A1-A0SK", "TCGA-A1-A0SK-DX1"),
        ("TCGA-GM-A2DD-DX1_xmin47260_ymin22408_MPP-0.2500+247", "TCGA-GM-A2DD", "TCGA-GM-A2DD-DX1"),
        ("train_TCGA-A1-A0SK-DX1_xmin45749_ymin25055_MPP-0.2500+0[1101]", "TCGA-A1-A0SK", "train_TCGA-A1-A0SK-DX1"),
        ("TCGA-05-4244-01Z-00-DX1.d4ff32cd_1024_2048", "TCGA-05-4244", "TCGA-05-4244-01Z-00-DX1.d4ff32cd"),
        ("case3_x400_y0[1 0 0 1]", "case3", "case3"),
        ("case3-x400-y0-[1001]", "case3", "case3"),
        ("case_12_34", "case_12", "case"),
        ("patch_patient_004_node_4_x_3328_y_21792", "patch_patient_004", "patch_patient_004_node_4"),
        ("8863_idx5_x51_y1251_class0", "8863", "8863"),
        ("CMU-1.svs [x=1024,y=2048,w=512,h=512]", "CMU-1.svs", "CMU-1.svs"),  # QuPath
        ("CMU-1 [d=2,x=1024,y=2048,w=512,h=512][1 0]", "CMU-1", "CMU-1"),
        ("CMU-1_x400_y0", "CMU-1", "CMU-1"),
        ("slide1_roi3_x0_y0", "slide1", "slide1"),
        ("slide_3_patch_5", "slide_3", "slide_3"),
        ("slide_3", "slide_3", "slide_3"),
        ("slideA_512_1024", "slideA", "slideA"),
        ("slideA_17", "slideA", "slideA"),
        ("slide 7 (3)", "slide 7", "slide 7"),
        ("S18-00123_12", "S18-00123", "S18-00123"),
        ("A1_row3_col4", "A1", "A1"),
        ("img_001", "img_001", "img_001"),
        ("p0[1 0]", "p0", "p0"),
        ("s1-0-16[1 0]", "s1", "s1"),
        ("c1_x8_y0", "c1", "c1"),
        ("slideA_p12", "slideA", "slideA"),
        ("S1_x400y0", "S1", "S1"),
        ("S1_400x0", "S1", "S1"),
        ("S1_(400, 0)", "S1", "S1"),
        ("S1_r3c4", "S1", "S1"),
        ("S1_i3_j4", "S1", "S1"),
        ("BRCA_J12", "BRCA_J12", "BRCA_J12"),
        ("S1_12_flip", "S1", "S1"),
        ("1031280-2300-27920-[1 0 0 1]_hflip", "1031280", "1031280"),
        ("x400_y0", "", ""),
        ("row3_col4", "", ""),
    ],
)
def test_group_and_slide(name, group, slide):
    place = place_by_name(name)
    assert place.group == group
    # without what BCSS counts its region by, a region is still not split
    assert place.slide == slide or place.slide.startswith(f"{slide}_xmin")


@pytest.mark.parametrize(
    ("name", "position", "region"),
    [
        ("case3_x400_y0[1 0 0 1]", (0, 400), "case3"),
        ("case3_y0_x400", (0, 400), "case3"),
        ("a_x_3328_y_21792", (21792, 3328), "a"),
        ("slide1_roi3_x0_y8", (8, 0), "slide1_roi3"),
        ("CMU-1 [x=1024,y=2048,w=512,h=512]", (2048, 1024), "CMU-1"),
        ("CMU-1 [d=2,x=1024,y=2048,w=512,h=512]", (1024, 512), "CMU-1"),
        ("CMU-1 [d=3,x=1024,y=2048,w=512,h=512]", None, "CMU-1"),
        ("1031280-2300-27920-[1 0 0 1]", None, "1031280-2300-27920"),  # px of which magnification is not said
        ("TCGA-A1-A0SK-DX1_xmin57214_ymin25940_MPP-0.2500+0[1101]", None, None),  # the region's place, not the patch's
        ("A1_row3_col4", None, None),
    ],
)
def test_position_where_a_name_spells_it(name, position, region):
    place = place_by_name(name)
    assert place.position == position and (region is None or place.region == region)


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["scan_1", "scan_2", "scan_3[1 0]"], ["scan_1", "scan_2", "scan_3"]),  # a number is all that tells them apart
        (["a_1", "a_2", "b_1"], ["a", "a", "b"]),
        (["s1-0-0", "s1-0-8"], ["s1", "s1"]),
        (["s1_0_0_512", "s1_512_0_512", "s2_0_512_512"], ["s1", "s1", "s2"]),  # the last is the size of all
        (["s1_0_0_512_512[1 0]", "s1_512_0_512_512[0 1]"], ["s1", "s1"]),
        (["a_0_0", "a_512_0"], ["a", "a"]),  # a column of patches
        (["case3_x0_y0", "case3_x8_y0"], ["case3", "case3"]),
        ([], []),
    ],
)
def test_groups_by_all_names(names, groups):
    assert [place.group for place in places_by_name(names)] == groups
