"""What to label next."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image
from scripts.core.images import read_image
from scripts.data import prepare
from scripts.labelling.round_request import RoundRequest
from scripts.labelling.suggest import labelled_so_far, suggest_patches
from tiny import TinyExtractor

FACTS = DatasetFacts(("dark", "bright"), "shades")


class _Sure(torch.nn.Module):
    """Sure of dark and of bright patches, in doubt about those between."""

    def forward(self, image):
        grey = image.mean(dim=(1, 2, 3)) * 40 - 20
        return (grey[:, None] * grey.new_tensor([[-1.0, 1.0]])).float()


def _shade(rng, grey, side=32):
    texture = np.kron(rng.integers(-30, 30, (4, 4, 3)), np.ones((side // 4, side // 4, 1)))
    return np.clip(grey + texture - texture.mean(), 0, 255).astype(np.uint8)


@pytest.fixture
def tissue(tmp_path, rng):
    """24 patches of two slides; eight are neither dark nor bright."""
    for k in range(24):
        grey = (40, 128, 195)[k % 3]
        write_image(tmp_path / "tissue" / f"s{k % 2}" / f"p{k:02d}.png", _shade(rng, grey))
    return tmp_path / "tissue"


def _suggest(tissue, folder, labelled, count, **more):
    request = RoundRequest(tissue, folder, count=count, min_tissue=0.0, progress=False, **more)
    return suggest_patches(request, FACTS, TinyExtractor(), _Sure(), labelled, (32, 32))


def test_suggestions_are_of_all_looks_with_the_opinions_of_the_model(tmp_path, tissue):
    page = _suggest(tissue, tmp_path / "labels", labelled_so_far(None, FACTS, TinyExtractor()), count=3)
    patches = json.loads((page.parent / "patches.json").read_text())["patches"]
    greys = [read_image(page.parent / patch["image"]).mean() for patch in patches]
    dark, between, bright = np.argsort(greys)
    assert greys[dark] < 100 < greys[between] < 150 < greys[bright]
    opinions = [patch["opinion"] for patch in patches]
    assert opinions[dark] == pytest.approx([1, 0], abs=1e-3) and opinions[bright] == pytest.approx([0, 1], abs=1e-3)
    assert all(0.2 < p < 0.8 for p in opinions[between])
    text = (page.parent / "suggest.html").read_text()
    names = [Path(patches[k]["image"]).stem for k in (between, dark, bright)]
    assert text.index(names[0]) < min(text.index(name) for name in names[1:])  # those in doubt first


def test_patches_that_are_labelled_are_not_suggested_again(tmp_path, tissue, rng):
    for k in range(4):
        grey = (40, 128, 128, 195)[k]
        write_image(tmp_path / "known" / f"g{k}_1.png", _shade(rng, grey))
    # one of those in doubt is among them, pixel by pixel
    image = next(p for p in sorted(tissue.rglob("*.png")) if 100 < read_image(p).mean() < 150)
    write_image(tmp_path / "known" / "g1_1.png", read_image(image))
    rows = ["image,dark,bright", "g0_1.png,1,0", "g1_1.png,1,1", "g2_1.png,1,1", "g3_1.png,0,1"]
    (tmp_path / "known" / "labels.csv").write_text("\n".join(rows))
    prepare(tmp_path / "known", tmp_path / "set", {}, layout="patches", progress=False)
    labelled = labelled_so_far(tmp_path / "set", FACTS, TinyExtractor())
    assert len(labelled.files) == 4 and labelled.curve is None and labelled.labels.sum() == 6
    page = _suggest(tissue, tmp_path / "labels", labelled, count=24)
    patches = json.loads((page.parent / "patches.json").read_text())["patches"]
    assert read_image(image).tobytes() not in {read_image(page.parent / p["image"]).tobytes() for p in patches}


def test_labels_of_other_classes_are_refused(tmp_path, tissue):
    write_image(tmp_path / "known" / "a_1.png", np.zeros((32, 32, 3), np.uint8))
    write_image(tmp_path / "known" / "b_1.png", np.ones((32, 32, 3), np.uint8))
    (tmp_path / "known" / "labels.csv").write_text("image,a,b,c\na_1.png,1,0,0\nb_1.png,0,1,1\n")
    prepare(tmp_path / "known", tmp_path / "set", {}, layout="patches", progress=False)
    with pytest.raises(ValueError, match=r"its classes are \['a', 'b', 'c'\], the model's \['dark', 'bright'\]"):
        labelled_so_far(tmp_path / "set", FACTS, TinyExtractor())


def test_when_all_is_labelled_it_says_so(tmp_path, tissue):
    nothing = labelled_so_far(None, FACTS, TinyExtractor())
    rounds = 0
    with pytest.raises(ValueError, match=r"all of its 24 patches are labelled|unlike those that are labelled"):
        while rounds < 24:
            _suggest(tissue, tmp_path / "labels", nothing, count=24)
            rounds += 1
    assert sorted(p.name for p in (tmp_path / "labels").iterdir()) == sorted(f"round_{k + 1}" for k in range(rounds))


def test_patches_like_labelled_ones_are_not_suggested(tmp_path, tissue):
    """The same tissue, a grey value brighter: other pixels, the same look."""
    images = [p for p in sorted(tissue.rglob("*.png")) if 100 < read_image(p).mean() < 150]
    rows = ["image,dark,bright"]
    for k, path in enumerate(images):
        write_image(tmp_path / "known" / f"g{k}_1.png", np.clip(read_image(path).astype(int) + 1, 0, 255).astype(np.uint8))
        rows.append(f"g{k}_1.png,{int(k % 2 == 0)},1")
    (tmp_path / "known" / "labels.csv").write_text("\n".join(rows))
    prepare(tmp_path / "known", tmp_path / "set", {}, layout="patches", progress=False)
    page = _suggest(tissue, tmp_path / "labels", labelled_so_far(tmp_path / "set", FACTS, TinyExtractor()), count=6)
    patches = json.loads((page.parent / "patches.json").read_text())["patches"]
    assert patches and not any(100 < read_image(page.parent / p["image"]).mean() < 150 for p in patches)
