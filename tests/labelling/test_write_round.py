"""A round: the page, its patches, and the tissue around them."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image
from scripts.core.images import read_image
from scripts.labelling.candidates import CandidateRule, find_candidates
from scripts.labelling.label_rounds import pixel_digest, read_round
from scripts.labelling.write_round import KEYS, RoundRule, check_classes, presented, write_round

FACTS = DatasetFacts(("tumour", "stroma"), patch_size=(32, 32), mpp=0.5)


@pytest.fixture
def candidates(tmp_path, rng):
    image = np.kron(rng.integers(60, 180, (12, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    (tmp_path / "slides").mkdir()
    write_image(tmp_path / "slides" / "a.png", image)
    return find_candidates(tmp_path / "slides", CandidateRule((32, 32)), progress=False)[0]


def _write(folder, candidates, rule=RoundRule(), **more):  # noqa: B008
    faults = []
    written = write_round(folder, candidates, [0] * len(candidates), FACTS, rule, faults, progress=False, **more)
    return written, faults


def test_a_round_holds_its_patches_as_they_were_and_what_is_around_them(tmp_path, candidates):
    written, faults = _write(tmp_path / "round_1", candidates)
    assert written == list(range(9)) and not faults
    found = read_round(tmp_path / "round_1")
    whole = read_image(candidates[0].source)
    for candidate, (name, patch) in zip(candidates, found.patches.items(), strict=True):
        top, left, height, width = candidate.box
        pixels = read_image(found.folder / name)
        assert np.array_equal(pixels, whole[top : top + height, left : left + width])
        assert patch["digest"] == pixel_digest(pixels) and patch["position"] == [top, left]
        assert patch["box"] == [32, 32, 32, 32]
        around = read_image(found.folder / patch["context"])
        assert around.shape == (96, 96, 3)
        assert np.abs(around[40:56, 40:56].astype(int) - pixels[8:24, 8:24]).mean() < 8
    assert found.facts.classes == FACTS.classes and found.facts.mpp == 0.5


def test_the_page_is_given_what_it_asks_for(tmp_path, candidates):
    opinions = np.linspace(0, 1, 18).reshape(9, 2)
    _write(tmp_path / "round_1", candidates, opinions=opinions)
    page = (tmp_path / "round_1" / "label.html").read_text(encoding="utf-8")
    text = page.split('id="content">')[1].split("</script>")[0]
    content = json.loads(text)
    assert [c["key"] for c in content["classes"]] == ["1", "2"]
    assert content["patches"][3]["opinion"] == [round(float(p), 4) for p in opinions[3]]
    assert "digest" not in content["patches"][0] and str(tmp_path) not in page
    assert content["set"] == json.loads((tmp_path / "round_1" / "patches.json").read_text())["set"]


def test_without_context_there_is_none(tmp_path, candidates):
    _write(tmp_path / "round_1", candidates, RoundRule(context=1.0))
    assert not (tmp_path / "round_1" / "context").exists()


def test_large_surroundings_are_made_smaller_with_the_place_of_the_patch(tmp_path, candidates, monkeypatch):
    monkeypatch.setattr("scripts.labelling.write_round._CONTEXT_SIDE", 48)
    _write(tmp_path / "round_1", candidates[:1])
    patch = next(iter(read_round(tmp_path / "round_1").patches.values()))
    assert read_image(tmp_path / "round_1" / patch["context"]).shape == (48, 48, 3)
    assert patch["box"] == [16, 16, 16, 16]


def test_a_round_is_there_whole_or_not_at_all(tmp_path, candidates, monkeypatch):
    monkeypatch.setattr("scripts.labelling.write_round.write_label_page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _write(tmp_path / "labels" / "round_1", candidates)
    assert list((tmp_path / "labels").iterdir()) == []


def test_answers_are_never_written_over(tmp_path, candidates):
    _write(tmp_path / "round_1", candidates)
    (tmp_path / "round_1" / "labels.csv").write_text("mine")
    with pytest.raises(FileExistsError, match="round_1: there already"):
        _write(tmp_path / "round_1", candidates)
    assert (tmp_path / "round_1" / "labels.csv").read_text() == "mine"


def test_patches_that_are_gone_are_named(tmp_path, candidates):
    candidates[0].source.unlink()
    with pytest.raises(ValueError, match=r"none of the patches can be read\n.*a.png"):
        _write(tmp_path / "round_1", candidates)


@given(st.integers(0, 300), st.sampled_from([0, 1, 5, 20]), st.integers(0, 5))
def test_one_in_so_many_comes_again_much_later(count, repeat, seed):
    order = presented(count, RoundRule(repeat=repeat, seed=seed))
    counts = Counter(order)
    assert sorted(counts) == list(range(count))
    again = [k for k, n in counts.items() if n > 1]
    assert max(counts.values(), default=1) <= 2
    if repeat and count >= 2 * repeat:
        assert len(again) == min(count // repeat, count // 2)
    assert all(order[::-1].index(k) < len(order) - 1 - order.index(k) - count // 4 for k in again if count > 8)
    first = [k for n, k in enumerate(order) if k not in order[:n]]
    assert first == list(range(count))


def test_more_classes_than_keys_are_refused():
    check_classes(DatasetFacts(tuple(f"c{k}" for k in range(len(KEYS)))))
    with pytest.raises(ValueError, match="classes: found 20, expected at most 19"):
        check_classes(DatasetFacts(tuple(f"c{k}" for k in range(20))))


@pytest.mark.parametrize("name", ["seconds", "Group", "cannot_tell", "mpp"])
def test_a_class_called_as_a_column_is_refused(name):
    with pytest.raises(ValueError, match="name of another column"):
        check_classes(DatasetFacts(("tumour", name)))


def test_the_pixel_size_of_all_images_is_that_of_the_round(tmp_path, rng):
    bare = DatasetFacts(("tumour", "stroma"), patch_size=(32, 32))
    for name, sizes, expected in (("same", (0.5, 0.5), 0.5), ("other", (0.5, 0.25), None), ("none", (0.5, None), None)):
        for k, mpp in enumerate(sizes):
            image = rng.integers(60, 180, (32, 32, 3)).astype(np.uint8)
            write_image(tmp_path / name / f"s{k}.png", image, mpp and (mpp, mpp))
        found, _ = find_candidates(tmp_path / name, CandidateRule((32, 32)), progress=False)
        write_round(tmp_path / name / "round_1", found, [0, 0], bare, RoundRule(), [], progress=False)
        assert read_round(tmp_path / name / "round_1").facts.mpp == expected
