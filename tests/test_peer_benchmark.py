"""What is compared of two tools' outputs for a slide."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("shapely")
pytest.importorskip("tifffile")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import peer_slides
import slides


def _polygon(*corners):
    geometry = {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
    return {"type": "Feature", "properties": {}, "geometry": geometry}


def test_polygons_are_counted_and_measured(tmp_path):
    square = _polygon([0, 0], [0, 1000], [1000, 1000], [1000, 0])
    bow_tie = _polygon([0, 0], [10, 10], [10, 0], [0, 10])
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [square, square, bow_tie]}))
    found = peer_slides.polygons(path, 0.5, 0.25, 0.5)
    assert found["polygons"] == 3 and found["invalid"] == 1
    assert found["areas_of_tissue"] == 2.0 and found["areas_of_labels"] == 1.0  # 1000 px of 0.5 µm: 0.25 mm²
    assert found["geojson_mb"] == round(path.stat().st_size / 1e6, 2)


def test_agreement_counts_classes_on_tissue():
    ours = np.array([[0, 1, 2], [1, 1, 4], [0, 0, 255]], np.uint8)
    theirs = np.array([[0, 1, 0], [1, 0, 0]], np.uint8)
    tissue = np.array([[1, 1, 1], [0, 1, 1], [1, 1, 1]], bool)
    assert peer_slides.agreement(ours, theirs, tissue, 4) == 0.5
    with pytest.raises(ValueError, match="label maps"):
        peer_slides.agreement(ours, theirs[:1], tissue, 4)


def test_a_failed_process_is_named():
    found = slides.measured([sys.executable, "-c", "print('words'); print('{\"a\": 1}')"])
    assert found["a"] == 1 and found["peak_gb"] > 0
    with pytest.raises(SystemExit, match="ended with"):
        slides.measured([sys.executable, "-c", "raise SystemExit(3)"])


def test_table_without_the_peer():
    row = {
        "cpu_seconds": 1.0, "network_seconds": 0.5, "megapixels_seen": 2.0, "peak_gb": 0.5, "geojson_mb": 0.1,
        "polygons": 1234, "invalid": 0, "areas_of_tissue": 0.998,
        "areas_of_labels": 1.0,
    }  # fmt: skip
    header, rows = peer_slides.layout({"ours": row, "theirs": row | {"agreement": 0.98}})
    assert [len(r) for r in rows] == [len(header)] * 2
    assert rows[0][-5:] == ["1,234", "0", "99.8 %", "100.0 %", ""] and rows[1][-1] == "98.0 %"
