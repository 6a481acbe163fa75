from __future__ import annotations

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_mask
from scripts.core.images import read_mask
from scripts.pseudo_masks.consensus import CONSENSUS, overlapping, vote, write_consensus

FACTS = DatasetFacts(classes=("a", "b", "c"), white_background=True)


def full(value, layers=1, size=(8, 8)):
    return np.full((layers, *size), value, np.uint8)


def test_depths_vote_by_their_weight_and_white_stays():
    mask = np.stack([full(0)[0], full(0)[0], full(1)[0]])
    mask[:, 0] = 3
    weights = {(0.2, 0.2, 0.6): 1, (0.4, 0.3, 0.3): 0}
    for weight, winner in weights.items():
        found = vote([(mask, (0, 0))], weight, [1, 1, 0], 3)
        assert (found[0] == 3).all() and (found[1:] == winner).all()


def test_neighbours_win_where_they_see_better():
    """A neighbour shifted right by half: its middle is our border, where its word counts more than ours."""
    found = vote([(full(0), (0, 0)), (full(1), (0, 4))], [1.0], [1, 1, 0], 3)
    assert (found[:, :6] == 0).all() and (found[:, 6:] == 1).all()
    found = vote([(full(0), (0, 0)), (full(1), (-4, 0))], [1.0], [1, 1, 0], 3)
    assert (found[:2] == 1).all() and (found[2:] == 0).all()


def test_a_class_that_the_label_does_not_name_cannot_win():
    crowd = [(full(0), (0, 0)), *[(full(1), (0, 0))] * 5]
    assert (vote(crowd, [1.0], [1, 0, 1], 3) == 0).all()
    assert (vote(crowd, [1.0], [1, 1, 0], 3) == 1).all()


def test_overlaps_within_one_region():
    places = {"p": ("r", [0, 0]), "q": ("r", [0, 4]), "s": ("r", [8, 0]), "t": ("r", [7, 7]), "u": ("other", [0, 1])}
    entries = [{"name": n, "group": g, "position": p} for n, (g, p) in places.items()] + [{"name": "x"}]
    found = {e["name"]: [(o["name"], offset) for o, offset in others] for e, others in overlapping(entries, (8, 8))}
    assert found["p"] == [("p", (0, 0)), ("q", (0, 4)), ("t", (7, 7))]
    assert sorted(found["t"][1:]) == [("p", (-7, -7)), ("q", (-7, -3)), ("s", (1, -7))]
    assert found["u"] == [("u", (0, 0))] and found["x"] == [("x", (0, 0))]
    for entry in entries[1:3]:  # of the same case, in another slide: their positions say nothing of the first's
        entry["region"] = "slide 2"
    found = {e["name"]: [o["name"] for o, _ in others] for e, others in overlapping(entries, (8, 8), (8, 8))}
    assert found["p"] == ["p", "t"] and found["q"] == ["q", "s"]


def test_files_and_continuation(tmp_path):
    entries = []
    for k, x in enumerate((0, 4)):
        write_mask(tmp_path / "deep" / f"p{k}.png", full(k)[0], FACTS)
        entries.append({"name": f"p{k}", "group": "r", "position": [0, x], "label": [1, 1, 0]})
    write_consensus(entries, tmp_path, ["deep"], [1.0], FACTS, progress=False)
    first = read_mask(tmp_path / CONSENSUS / "p0.png")
    assert (first[:, :6] == 0).all() and (first[:, 6:] == 1).all()
    second = read_mask(tmp_path / CONSENSUS / "p1.png")
    assert (second[:, :2] == 0).all() and (second[:, 2:] == 1).all()
    write_mask(tmp_path / CONSENSUS / "p0.png", full(2)[0], FACTS)  # what is there is left
    write_consensus(entries, tmp_path, ["deep"], [1.0], FACTS, progress=False)
    assert (read_mask(tmp_path / CONSENSUS / "p0.png") == 2).all()
    (tmp_path / CONSENSUS / "p1.png").unlink()
    write_consensus(entries, tmp_path, ["not read", "deep"], [0.0, 1.0], FACTS, progress=False)
    assert (read_mask(tmp_path / CONSENSUS / "p1.png") == second).all()
    with pytest.raises(ValueError, match="weight for each"):
        write_consensus(entries, tmp_path, ["deep"], [1.0, 2.0], FACTS, progress=False)
