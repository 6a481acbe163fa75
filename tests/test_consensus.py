from __future__ import annotations

import numpy as np
import pytest
from scripts.consensus import CERTAIN, CONSENSUS, Consensus, overlapping, vote, write_consensus
from scripts.facts import DatasetFacts
from scripts.images import read_mask, write_mask

FACTS = DatasetFacts(classes=("a", "b", "c"), white_background=True)


def full(value, layers=1, size=(8, 8)):
    return np.full((layers, *size), value, np.uint8)


def test_depths_vote_by_their_weight_and_white_stays():
    mask = np.stack([full(0)[0], full(0)[0], full(1)[0]])
    mask[:, 0] = 3
    weights = {(0.2, 0.2, 0.6): (1, 0.6), (0.4, 0.3, 0.3): (0, 0.7)}
    for weight, (winner, most) in weights.items():
        found, share = vote([(mask, (0, 0))], weight, [1, 1, 0], 3)
        assert (found[0] == 3).all() and (found[1:] == winner).all()
        np.testing.assert_allclose(share[1:], most, rtol=1e-6)
        assert (share[0] == 0).all()


def test_neighbours_win_where_they_see_better():
    """A neighbour shifted right by half: its middle is our border, where its word counts more than ours."""
    found, _ = vote([(full(0), (0, 0)), (full(1), (0, 4))], [1.0], [1, 1, 0], 3)
    assert (found[:, :6] == 0).all() and (found[:, 6:] == 1).all()
    found, _ = vote([(full(0), (0, 0)), (full(1), (-4, 0))], [1.0], [1, 1, 0], 3)
    assert (found[:2] == 1).all() and (found[2:] == 0).all()


def test_a_class_that_the_label_does_not_name_cannot_win():
    crowd = [(full(0), (0, 0)), *[(full(1), (0, 0))] * 5]
    found, share = vote(crowd, [1.0], [1, 0, 1], 3)
    assert (found == 0).all() and (share == 1).all()
    found, share = vote(crowd, [1.0], [1, 1, 0], 3)
    assert (found == 1).all()
    np.testing.assert_allclose(share, 5 / 6, rtol=1e-6)


def test_overlaps_within_one_region():
    places = {"p": ("r", [0, 0]), "q": ("r", [0, 4]), "s": ("r", [8, 0]), "t": ("r", [7, 7]), "u": ("other", [0, 1])}
    entries = [{"name": n, "group": g, "position": p} for n, (g, p) in places.items()] + [{"name": "x"}]
    found = {e["name"]: [(o["name"], offset) for o, offset in others] for e, others in overlapping(entries, (8, 8))}
    assert found["p"] == [("p", (0, 0)), ("q", (0, 4)), ("t", (7, 7))]
    assert sorted(found["t"][1:]) == [("p", (-7, -7)), ("q", (-7, -3)), ("s", (1, -7))]
    assert found["u"] == [("u", (0, 0))] and found["x"] == [("x", (0, 0))]


def test_files_and_continuation(tmp_path):
    entries = []
    for k, x in enumerate((0, 4)):
        write_mask(tmp_path / "deep" / f"p{k}.png", full(k)[0], FACTS)
        entries.append({"name": f"p{k}", "group": "r", "position": [0, x], "label": [1, 1, 0]})
    write_consensus(entries, tmp_path, ["deep"], Consensus([1.0]), FACTS, progress=False)
    first = read_mask(tmp_path / CONSENSUS / "p0.png")
    assert (first[:, :6] == 0).all() and (first[:, 6:] == 1).all()
    second = read_mask(tmp_path / CONSENSUS / "p1.png")
    assert (second[:, :2] == 0).all() and (second[:, 2:] == 1).all()
    write_mask(tmp_path / CONSENSUS / "p0.png", full(2)[0], FACTS)  # what is there is left
    write_consensus(entries, tmp_path, ["deep"], Consensus([1.0]), FACTS, progress=False)
    assert (read_mask(tmp_path / CONSENSUS / "p0.png") == 2).all()
    with pytest.raises(ValueError, match="weight for each"):
        write_consensus(entries, tmp_path, ["deep"], Consensus([1.0, 2.0]), FACTS, progress=False)


def test_what_is_certain(tmp_path):
    """Of two layers that vote 1 to 3, half the patch has both, half is disputed: 0.75 of the votes are enough, or not."""
    shallow = full(0)[0]
    shallow[:, 4:] = 1
    shallow[0] = 3
    for name, mask in (("shallow", shallow), ("deep", np.where(shallow == 3, 3, 0).astype(np.uint8))):
        write_mask(tmp_path / name / "p.png", mask, FACTS)
    entries = [{"name": "p", "label": [1, 1, 0]}, {"name": "q", "label": [1, 0, 0]}]
    for name in ("shallow", "deep"):
        write_mask(tmp_path / name / "q.png", full(0)[0], FACTS)
    for majority, disputed in ((0.7, 0), (0.8, 3)):
        for path in tmp_path.glob("c*/*.png"):
            path.unlink()
        write_consensus(entries, tmp_path, ["shallow", "deep"], Consensus([1, 3], majority), FACTS, progress=False)
        whole, certain = (read_mask(tmp_path / layer / "p.png") for layer in (CONSENSUS, CERTAIN))
        assert (whole[0] == 3).all() and (whole[1:] == 0).all()
        assert (certain[0] == 3).all() and (certain[1:, :4] == 0).all() and (certain[1:, 4:] == disputed).all()
        assert (read_mask(tmp_path / CERTAIN / "q.png") == 0).all()  # a patch of one class has no other


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (([],), "positive sum"),
        (([0, 0],), "positive sum"),
        (([1, -1],), "non-negative"),
        (([1], 1.5), r"majority in \[0, 1\], found 1.5"),
    ],
)
def test_votes_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        Consensus(*settings)
