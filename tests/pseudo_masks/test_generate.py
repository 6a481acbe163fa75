from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import read_mask
from scripts.core.names import pseudo_mask_paths
from scripts.core.processes import join_processes
from scripts.networks.classifier import TissueClassifier
from scripts.pseudo_masks.batches import several_classes
from scripts.pseudo_masks.cam import upsample
from scripts.pseudo_masks.context import windows
from scripts.pseudo_masks.generate import generate_pseudo_masks
from scripts.pseudo_masks.masker import PseudoMasker
from scripts.pseudo_masks.refinement import Refinement
from scripts.pseudo_masks.shares import standardise
from tiny import TinyExtractor

FACTS = DatasetFacts(classes=("a", "b", "c"), white_background=True)
LAYERS = ("a", "b", "c")


def _masker(**settings):
    torch.manual_seed(0)
    return PseudoMasker(TissueClassifier(TinyExtractor(), 3), LAYERS, FACTS, **settings)


@pytest.fixture
def entries(tmp_path, rng):
    found = []
    for i in range(7):
        size = (32, 32) if i < 5 else (24, 40)
        write_image(tmp_path / f"p{i}.png", rng.integers(0, 180, (*size, 3), dtype=np.uint8))
        write_mask(tmp_path / f"t{i}.png", np.full(size, i % 3), FACTS)
        label = [1, 1, 0] if i % 2 else [0, 1, 1]
        found.append(
            {"image": str(tmp_path / f"p{i}.png"), "mask": str(tmp_path / f"t{i}.png"), "label": label, "name": f"p{i}"}
        )
    return found


def test_single_class_patches_are_that_class_and_white_is_painted(rng):
    images = rng.integers(0, 150, (2, 16, 16, 3), dtype=np.uint8)
    images[0, :8] = 255
    masks = _masker()(images, np.array([[0, 0, 1], [0, 1, 0]]))
    assert masks.shape == (2, 3, 16, 16) and masks.dtype == np.uint8
    assert (masks[0, :, :8] == FACTS.white_value).all() and (masks[0, :, 8:] == 2).all() and (masks[1] == 1).all()


def test_argmax_of_upsampled_maps_among_present_classes(rng):
    masker, images = _masker(), rng.integers(0, 150, (3, 32, 24, 3), dtype=np.uint8)
    labels = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1]])
    masks = masker(images, labels)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    for index, layer in enumerate(LAYERS):
        feature = masker.classifier.extractor(batch)[layer]
        assert upsample(feature, (32, 24)).shape[-2:] == (32, 24)
        for n in range(3):
            assert set(np.unique(masks[n, index])) <= set(np.flatnonzero(labels[n]))
    maps = masker.maps(batch, torch.from_numpy(labels))
    everything = maps["b"][2].argmax(0).numpy()
    np.testing.assert_array_equal(masks[2, 1], everything)


def test_flips_are_equivariant(rng):
    masker, labels = _masker(flips=True), np.array([[1, 1, 1]])
    image = rng.integers(0, 150, (1, 32, 32, 3), dtype=np.uint8)
    plain, flipped = masker(image, labels), masker(np.ascontiguousarray(image[:, :, ::-1]), labels)
    assert (plain == flipped[..., ::-1]).mean() > 0.999


@pytest.mark.parametrize("context", [0.0, 0.25])
def test_maps_of_several_sizes_are_added_at_the_size_of_the_patch(rng, context):
    image, labels = torch.from_numpy(rng.random((2, 3, 48, 24), dtype=np.float32)), torch.tensor([[1, 1, 0], [1, 1, 1]])
    both, own, large = (_masker(scales=s, context=context) for s in ([1.0, 1.5], [1.0], [1.5]))
    found, expected, larger = (masker.maps(image, labels) for masker in (both, own, large))
    enlarged = own.cams(upsample(image, (72, 36)), labels)
    for layer in LAYERS:
        assert found[layer].shape == ((2, 3, 32, 16) if context else (2, 3, 48, 24))
        torch.testing.assert_close(larger[layer], own.inner(upsample(enlarged[layer], (48, 24))))
        torch.testing.assert_close(found[layer], expected[layer] + larger[layer])


def test_published_masks_from_published_maps(parity):
    """Upsampling, arg-max and white painting alone, on the published program's own maps: equal in every pixel."""
    arrays = np.load(parity / "pseudo_masks.npz")
    facts = DatasetFacts(classes=("a", "b", "c", "d"), white_background=True)

    class _Maps(PseudoMasker):
        def maps(self, image, present):
            return {layer: upsample(self.raw[:, k], image.shape[-2:]) for k, layer in enumerate(LAYERS)}

    masker = _Maps(TissueClassifier(TinyExtractor(), 4), LAYERS, facts)
    for n, image in enumerate(arrays["image"]):
        masker.raw = torch.from_numpy(arrays["gradcam"][n : n + 1])
        for k, label in enumerate(arrays["label"]):
            np.testing.assert_array_equal(masker(image[None], label[None])[0], arrays["mask"][n, k, :, 0])


def test_interrupted_run_ends_with_the_same_bits(tmp_path, entries):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = generate_pseudo_masks(_masker(), entries, whole, "f", batch_size=2, progress=False)
    generate_pseudo_masks(_masker(), entries, broken, "f", batch_size=2, progress=False)
    for name in ("p1", "p2", "p6"):
        for path in pseudo_mask_paths(broken, LAYERS[1:], name):
            (broken / path).unlink()
    (broken / LAYERS[1] / ".writing-abc.png").write_bytes(b"killed while it wrote")
    found = generate_pseudo_masks(_masker(), entries, broken, "f", batch_size=2, progress=False)
    assert found == expected == json.loads((broken / "summary.json").read_text())
    assert not list(broken.rglob(".writing-*"))
    for entry in entries:
        for a, b in zip(
            pseudo_mask_paths(whole, LAYERS, entry["name"]), pseudo_mask_paths(broken, LAYERS, entry["name"]), strict=True
        ):
            assert (whole / a).read_bytes() == (broken / b).read_bytes()


def test_masks_of_another_classifier_are_replaced(tmp_path, entries):
    folder = tmp_path / "masks"
    (path, *_) = pseudo_mask_paths(folder, LAYERS, "p0")
    generate_pseudo_masks(_masker(), entries, folder, "one", progress=False)
    before = read_mask(path)
    write_mask(path, np.full_like(before, 2), FACTS)
    generate_pseudo_masks(_masker(), entries, folder, "one", progress=False)
    assert (read_mask(path) == 2).all()
    generate_pseudo_masks(_masker(), entries, folder, "two", progress=False)
    np.testing.assert_array_equal(read_mask(path), before)


def test_summary_counts(tmp_path, entries):
    summary = generate_pseudo_masks(_masker(), entries[:5], tmp_path / "m", "f", progress=False)
    assert summary["patches"] == 5
    assert all(sum(pixels.values()) == 5 * 32 * 32 for pixels in summary["pixels"].values())
    assert set(summary["agreement"]) == {"a/b", "a/c", "b/c"} and set(summary["scores"]) == set(LAYERS)
    masks = {la: [read_mask(pseudo_mask_paths(tmp_path / "m", (la,), e["name"])[0]) for e in entries[:5]] for la in "ab"}
    assert summary["agreement"]["a/b"] == np.mean([x == y for x, y in zip(masks["a"], masks["b"], strict=True)])
    without = [{k: v for k, v in e.items() if k != "mask"} for e in entries]
    assert generate_pseudo_masks(_masker(), without, tmp_path / "n", "f", progress=False)["scores"] == {}


def test_consensus_is_a_layer_of_its_own(tmp_path, entries):
    """Without positions it is each patch's own depths; another classifier's goes with the other masks."""
    folder = tmp_path / "m"
    summary = generate_pseudo_masks(_masker(), entries, folder, "one", progress=False, consensus=[0.0, 0.0, 1.0])
    assert set(summary["pixels"]) == {*LAYERS, "consensus"}
    for entry in entries:
        deepest, agreed = (read_mask(p) for p in pseudo_mask_paths(folder, (LAYERS[-1], "consensus"), entry["name"]))
        np.testing.assert_array_equal(agreed, deepest)
    (path,) = pseudo_mask_paths(folder, ("consensus",), entries[0]["name"])
    before = read_mask(path)
    write_mask(path, np.full_like(before, 2), FACTS)
    generate_pseudo_masks(_masker(), entries, folder, "two", progress=False, consensus=[0.0, 0.0, 1.0])
    np.testing.assert_array_equal(read_mask(path), before)


def test_no_layer_of_another_classifier_stays(tmp_path, entries):
    generate_pseudo_masks(_masker(), entries, tmp_path, "one", progress=False, consensus=[0.0, 0.0, 1.0])
    assert list((tmp_path / "consensus").glob("*.png"))
    generate_pseudo_masks(_masker(), entries, tmp_path, "two", progress=False)
    assert not list((tmp_path / "consensus").glob("*.png"))


def test_votes_that_do_not_fit_are_refused_before_any_mask_is_made(tmp_path, entries):
    with pytest.raises(ValueError, match="consensus: expected a non-negative weight for each"):
        generate_pseudo_masks(_masker(), entries, tmp_path / "m", "f", progress=False, consensus=[1.0])
    assert not (tmp_path / "m").exists()


def test_nothing_to_do(tmp_path):
    with pytest.raises(ValueError, match="training section is empty"):
        generate_pseudo_masks(_masker(), [], tmp_path / "m", "f")


def test_bad_patches_are_named_before_any_mask_is_made(tmp_path, entries):
    bare = [*entries, {**entries[0], "label": [0, 0, 0]}]
    with pytest.raises(ValueError, match=r"\.png: found the label \[0, 0, 0\], expected at least one class"):
        generate_pseudo_masks(_masker(), bare, tmp_path / "m", "f")
    write_mask(tmp_path / "truth.png", np.zeros((9, 7)), FACTS)
    with pytest.raises(ValueError, match=r"truth\.png: found \(9, 7\) px \(H, W\), expected its patch's"):
        generate_pseudo_masks(_masker(), [{**entries[0], "mask": str(tmp_path / "truth.png")}], tmp_path / "m", "f")
    assert not (tmp_path / "m").exists()


def test_masks_with_context_are_those_of_the_windows(tmp_path, rng):
    region = rng.integers(0, 150, (32, 64, 3), dtype=np.uint8)
    placed = []
    for x in (0, 32):
        write_image(tmp_path / f"{x}.png", region[:, x : x + 32])
        placed.append(
            {"image": str(tmp_path / f"{x}.png"), "label": [1, 1, 0], "name": f"{x}", "group": "r", "position": [0, x]}
        )
    masker = _masker(context=0.25)
    generate_pseudo_masks(masker, placed, tmp_path / "with", "f", progress=False)
    expected = masker(np.stack([windows(placed, 0.25)(e) for e in placed]), np.array([e["label"] for e in placed]))
    plain = _masker()(np.stack([region[:, :32], region[:, 32:]]), np.array([e["label"] for e in placed]))
    assert (expected != plain).any()
    for entry, masks in zip(placed, expected, strict=True):
        for path, mask in zip(pseudo_mask_paths(tmp_path / "with", LAYERS, entry["name"]), masks, strict=True):
            np.testing.assert_array_equal(read_mask(path), mask)
    # where nothing says what surrounds a patch, it is mapped by itself
    lone = [{k: e[k] for k in ("image", "label", "name")} for e in placed]
    masker = _masker(context=0.25)
    generate_pseudo_masks(masker, lone, tmp_path / "without", "f", progress=False)
    np.testing.assert_array_equal(read_mask(tmp_path / "without/b/32.png"), plain[1, 1])
    assert masker.context == 0.25


@pytest.mark.parametrize("context", [-0.1, 1.5])
def test_context_out_of_range(context):
    with pytest.raises(ValueError, match="context: expected a share"):
        _masker(context=context)


def test_a_share_prior_moves_the_masks_of_patches_of_several_classes_alone(tmp_path, entries):
    """Measured on the patches themselves; an arg-max of standardised maps and offsets, whichever way the batches fall."""
    pure = {**entries[0], "label": [1, 0, 0], "name": "pure"}
    plain, moved = _masker(), _masker(share_prior=1.0)
    for masker, name in ((plain, "plain"), (moved, "moved")):
        generate_pseudo_masks(masker, [*entries, pure], tmp_path / name, "f", progress=False)
    assert set(moved.offsets) == set(LAYERS) and not plain.offsets

    def share_of_b(name, layer):  # the class that all of them have, beside one other
        masks = [read_mask(tmp_path / name / layer / f"{e['name']}.png") for e in entries]
        return np.mean([(m[m < FACTS.white_value] == 1).mean() for m in masks])

    for layer in LAYERS:
        assert abs(share_of_b("moved", layer) - 0.5) < max(0.05, abs(share_of_b("plain", layer) - 0.5))
    for path in sorted((tmp_path / "plain").rglob("pure.png")):
        assert (read_mask(path) == read_mask(tmp_path / "moved" / path.relative_to(tmp_path / "plain"))).all()
    again = _masker(share_prior=1.0)
    (tmp_path / "moved/c/p3.png").unlink()  # interrupted, then gone on with
    before = {p: p.read_bytes() for p in (tmp_path / "moved").rglob("*.png")}
    generate_pseudo_masks(again, [*entries, pure], tmp_path / "moved", "f", progress=False)
    assert (tmp_path / "moved/c/p3.png").is_file() and all(p.read_bytes() == b for p, b in before.items())


def test_shares_of_a_rare_class_are_measured_on_all_of_its_patches():
    labels = [[1, 0, 0]] * 5 + [[1, 1, 0]] * 3000 + [[1, 0, 1]] * 3 + [[1, 1, 0]] * 3000
    entries = [{"name": k, "label": label} for k, label in enumerate(labels)]
    found = [e["name"] for e in several_classes(entries)]
    assert {3005, 3006, 3007} <= set(found) and min(found) == 5 and max(found) == len(labels) - 1
    assert found == sorted(set(found)) and 256 < len(found) <= 3 * 256
    assert several_classes(entries[:5]) == []
    assert len(several_classes(entries[5:15])) == 10


def test_share_prior_out_of_range():
    with pytest.raises(ValueError, match="share_prior: expected a number"):
        _masker(share_prior=2)


def _refinement(**settings):
    crf = {"radius": 3, "dilation": 1, "iterations": 3, "position_sigma": 3.0, "colour_sigma": 0.1, "smoothness_sigma": 1.0}
    return Refinement(**{"weights": {"b": 1.0, "c": 3.0}, "features": ["a"], "crf": crf, **settings})


def test_a_refined_mask_is_one_more_layer_and_resumes_with_the_same_bits(tmp_path, entries):
    folder, layers = tmp_path / "m", (*LAYERS, "refined")
    settings = {"context": 0.25, "share_prior": 0.5}
    masker = _masker(refinement=_refinement(), **settings)
    assert masker.outputs == layers and masker.calibrated
    summary = generate_pseudo_masks(masker, entries, folder, "f", progress=False, consensus=[0.0, 0.0, 0.0, 1.0])
    assert set(summary["pixels"]) == {*layers, "consensus"}
    for entry in entries:
        *_, refined, agreed = (read_mask(p) for p in pseudo_mask_paths(folder, (*layers, "consensus"), entry["name"]))
        assert (refined == agreed).all()
        assert set(np.unique(refined)) <= {*np.flatnonzero(entry["label"]), FACTS.white_value}
    plain = tmp_path / "plain"  # the other masks are what they are without it
    generate_pseudo_masks(_masker(**settings), entries, plain, "f", progress=False)
    for path in sorted(plain.rglob("*.png")):
        assert (read_mask(path) == read_mask(folder / path.relative_to(plain))).all()
    before = {p: p.read_bytes() for p in folder.rglob("*.png")}
    (folder / "refined/p3.png").unlink()
    again = _masker(refinement=_refinement(), **settings)
    generate_pseudo_masks(again, entries, folder, "f", progress=False, consensus=[0.0, 0.0, 0.0, 1.0])
    assert {p: p.read_bytes() for p in folder.rglob("*.png")} == before


def test_refined_masks_without_field_are_maps_and_appearance_added(rng):
    """By hand from the parts: standardised maps with their offsets, and the discriminant of the shallow layer."""
    images, labels = rng.integers(0, 150, (4, 32, 32, 3), dtype=np.uint8), np.array([[1, 1, 0]] * 3 + [[1, 1, 1]])
    masker = _masker(refinement=_refinement(crf=None, appearance=0.5), share_prior=0.5)
    masker.calibrate([(images, labels)])
    batch, present = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(labels).bool()
    maps = masker.maps(batch, present)
    total = sum(
        w * (standardise(maps[k], present) + masker.offsets[k][:, None, None]) for k, w in (("b", 0.25), ("c", 0.75))
    )
    with torch.no_grad():
        total = total + 0.5 * masker.refinement.appearance(masker.classifier.extractor(batch), (32, 32))
    expected = total.masked_fill(~present[:, :, None, None], float("-inf")).argmax(dim=1).numpy()
    white = masker(images, labels)[:, 3] == FACTS.white_value
    np.testing.assert_array_equal(masker(images, labels)[:, 3], np.where(white, FACTS.white_value, expected))
    # features alone need the measure, too
    assert _masker(refinement=_refinement()).calibrated and not _masker(refinement=_refinement(features=())).calibrated


def test_a_refinement_of_layers_that_are_not_there():
    with pytest.raises(ValueError, match=r"refinement: found weights of \['x'\], expected some of the layers"):
        _masker(refinement=_refinement(weights={"x": 1.0}))
    with pytest.raises(ValueError, match="has no layer"):
        _masker(refinement=_refinement(features=["x"]))


def test_validation_patches_have_masks_of_their_own_that_change_no_other(tmp_path, entries):
    """Of names that training patches have, too; measured on the training patches, whichever masks are there already."""
    settings, options = {"context": 0.25, "share_prior": 0.5}, {"progress": False, "consensus": [0.0, 0.0, 0.0, 1.0]}
    layers = (*LAYERS, "refined", "consensus")

    def generate(name, training, validation=(), fingerprint="f"):
        masker = _masker(refinement=_refinement(), **settings)
        summary = generate_pseudo_masks(masker, training, tmp_path / name, fingerprint, validation=validation, **options)
        return summary, {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.png")}

    training, held = entries[:5], [{**entries[0], "name": "p0"}, {**entries[6], "name": "p6"}]
    alone, masks = generate("alone", training)
    summary, both = generate("both", training, held)
    assert {k: v for k, v in both.items() if k.parts[0] != "validation"} == masks
    assert {k for k in both if k not in masks} == {
        Path("validation", layer, f"{name}.png") for layer in layers for name in ("p0", "p6")
    }
    for layer in layers:
        assert (
            read_mask(tmp_path / "both" / layer / "p0.png") == read_mask(tmp_path / f"both/validation/{layer}/p0.png")
        ).all()
    assert summary["validation"]["patches"] == 2 and {k: v for k, v in summary.items() if k != "validation"} == alone
    (tmp_path / "both/validation/refined/p6.png").unlink()  # interrupted after all others
    assert generate("both", training, held) == (summary, both)
    other = generate("both", training, (), "another")[1]
    assert set(other) == set(masks)  # none of another classifier stays


def _careful_masker():
    """One that measures before it makes masks."""
    return _masker(share_prior=0.5, refinement=Refinement({"b": 0.5, "c": 0.5}, ["a"]))


def _process(rank, port, entries, folder):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    join_processes(60)
    summary = generate_pseudo_masks(
        _careful_masker(), entries, folder, "f", batch_size=2, progress=False, consensus=[0.0, 0.0, 0.0, 1.0]
    )
    assert bool(summary) == (rank == 0)


def test_two_processes_make_the_masks_of_one(entries, tmp_path):
    expected = generate_pseudo_masks(
        _careful_masker(), entries, tmp_path / "one", "f", batch_size=2, progress=False, consensus=[0.0, 0.0, 0.0, 1.0]
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_process, (port, entries, tmp_path / "two"), nprocs=2)
    files = {p.relative_to(tmp_path / "one"): p.read_bytes() for p in (tmp_path / "one").rglob("*.png")}
    assert files and files == {p.relative_to(tmp_path / "two"): p.read_bytes() for p in (tmp_path / "two").rglob("*.png")}
    assert json.loads((tmp_path / "two/summary.json").read_text()) == json.loads(json.dumps(expected))
