from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow
from PIL import Image
from scripts import BUNDLE_ROOT
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image
from scripts.core.images import read_image, read_mask
from scripts.inference import load_model
from scripts.networks.hierarchical import HierarchicalClassifier
from scripts.weights.description import describe
from scripts.weights.files import save_weights
from tiny import TinyExtractor, write_models

FACTS = DatasetFacts(classes=("a", "b", "c"), white_background=True, mpp=0.5)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"), FACTS)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Noise at several scales, some of it white, so that all classes and the white background are won by some pixel."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for name, size in (("patch", (32, 32)), ("small", (20, 27)), ("large", (90, 71))):
        coarse = torch.from_numpy(rng.uniform(0, 300, (1, 3, 6, 6)))
        image = torch.nn.functional.interpolate(coarse, size, mode="bicubic")[0].permute(1, 2, 0).numpy()
        write_image(folder / f"{name}.png", np.clip(image + rng.normal(0, 20, image.shape), 0, 255).astype(np.uint8))
    return folder


@pytest.mark.parametrize(
    "settings",
    [{}, {"flips": True, "window_scales": [1.0, 2.0]}, {"gated": False, "overlap": 0.25}, {"mpp": 0.3}, {"mpp": [1.0, 0.7]}],
)
def test_label_maps_are_those_of_inference_in_every_pixel(models, images, tmp_path, settings):
    places = {"dataset_dir": str(images), "output_dir": str(tmp_path), "model_dir": str(models)}
    config = str(Path(BUNDLE_ROOT) / "configs/inference.yaml")
    workflow = ConfigWorkflow(config, workflow_type=None, logging_file=False, progress=False, **places, **settings)
    workflow.initialize()
    workflow.run()
    mpp = settings.pop("mpp", None)
    model = load_model(models, **settings)
    for path in sorted(images.iterdir()):
        found, pixels = model.segment(path, mpp), read_image(path)
        assert np.array_equal(found.label_map, read_mask(tmp_path / f"inference/{path.stem}_mask.png"))
        assert np.array_equal(found.overlay(), read_image(tmp_path / f"inference/{path.stem}_overlay.png"))
        assert found.areas == json.loads((tmp_path / f"inference/{path.stem}_areas.json").read_text())["areas"]
        assert found.probabilities.shape == (3, *pixels.shape[:2]) and found.probabilities.dtype == np.float32
        assert found.probabilities.min() >= 0 and found.probabilities.max() <= 1
        tissue = found.label_map < 3
        assert np.array_equal(found.probabilities.argmax(axis=0)[tissue], found.label_map[tissue])
        assert np.array_equal(model.segment(pixels, mpp).label_map, found.label_map)


def test_areas_are_of_the_image_s_own_pixels(models, images, tmp_path):
    model = load_model(models)
    pixels = read_image(images / "large.png")
    write_image(tmp_path / "stated.png", pixels, (1.0, 1.0))
    for found, mpp in (
        (model.segment(images / "large.png", mpp=1.0), 1.0),
        (model.segment(tmp_path / "stated.png"), 1.0),
        (model.segment(tmp_path / "stated.png", mpp=(0.5, 0.25)), (0.5, 0.25)),
    ):
        assert found.mpp == pytest.approx(mpp) and found.label_map.shape == pixels.shape[:2]
        pixel = np.prod(mpp) if isinstance(mpp, tuple) else mpp**2
        for area in found.areas.values():
            assert area["mm2"] == pytest.approx(area["pixels"] * pixel * 1e-6, abs=1e-6)
    unknown = model.segment(pixels)
    assert unknown.mpp is None and not any("mm2" in area for area in unknown.areas.values())


def _resized(image, factor):
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def decided(models):
    """An image of 144 x 144 px at 0.5 µm/px, and a model that is sure of a class in each part of it, of all in the whole."""
    coarse = np.random.default_rng(1).uniform(0, 280, (9, 9, 3)).clip(0, 255).astype(np.uint8)
    image, model = _resized(coarse, 16), load_model(models, gated=False, flips=True)
    segmenter, pixels = model.network.segmenter, torch.from_numpy(image.transpose(2, 0, 1)).float()[None] / 255
    with torch.no_grad():
        segmenter.decoder[-1].weight.mul_(50)
        segmenter.decoder[-1].bias -= segmenter(pixels).mean((0, 2, 3))
    return image, model


@pytest.mark.parametrize("factor", [0.5, 0.7, 2, 3])
def test_one_tissue_at_two_pixel_sizes_is_segmented_the_same(decided, factor):
    image, model = decided
    expected, other = model.segment(image, mpp=0.5), _resized(image, factor)
    assert np.bincount(expected.label_map.ravel()).min() > 1000  # all classes, and white background
    found = model.segment(other, mpp=0.5 / factor)
    assert found.label_map.shape == other.shape[:2] and found.probabilities.shape == (3, *other.shape[:2])
    like = np.asarray(Image.fromarray(expected.label_map).resize(other.shape[1::-1], Image.Resampling.NEAREST))
    assert (found.label_map == like).mean() > 0.92 and (model.segment(other, mpp=0.5).label_map == like).mean() < 0.6
    for name, area in expected.areas.items():
        assert found.areas[name]["mm2"] == pytest.approx(area["mm2"], rel=0.06)


def test_pixels_that_are_not_square(decided):
    image, model = decided
    flat = np.asarray(Image.fromarray(image).resize((144, 72), Image.Resampling.BICUBIC))
    found, expected = model.segment(flat, mpp=(1.0, 0.5)), model.segment(image, mpp=0.5).label_map[::2]
    assert found.mpp == (1.0, 0.5) and (found.label_map == expected).mean() > 0.9


def test_what_the_classifier_sees(models, images):
    model = load_model(models)
    patch = read_image(images / "patch.png")
    image = torch.from_numpy(patch).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = torch.sigmoid(model.network.classifier(image))[0]
    found = model.classify(patch)
    assert list(found) == ["a", "b", "c"] and list(found.values()) == pytest.approx(expected.tolist(), abs=1e-2)
    maps = model.class_activation_maps(images / "patch.png")
    assert list(maps) == ["a", "b", "c"] and all(cam.shape == (3, 32, 32) and cam.std() > 0 for cam in maps.values())


def test_maps_of_a_classifier_with_several_heads(tmp_path):
    write_models(tmp_path, FACTS)
    network = HierarchicalClassifier(TinyExtractor(), 3, ["b", "c"], [1, 3])
    content = describe(network, "classifier", FACTS, (32, 32), gate_threshold=0.1)
    save_weights(tmp_path / "classifier.pt", network, content)
    maps = load_model(tmp_path).class_activation_maps(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    assert list(maps) == ["b", "c", "fused"]
    np.testing.assert_allclose(maps["fused"], 0.25 * maps["b"] + 0.75 * maps["c"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"gate_threshold": 2}, "gate_threshold: found 2, expected a number from 0 to below 1"),
        ({"batch_size": 0}, "batch_size: found 0"),
        ({"overlap": 1.0}, "overlap: found 1.0"),
        ({"window_scales": 1.0}, "window_scales: found 1.0, expected a list"),
        ({"flips": "perhaps"}, "flips: found 'perhaps', expected True or False"),
        ({"device": "cude"}, "device: found 'cude', expected a device of this machine: cpu"),
    ],
)
def test_settings_are_checked_as_those_of_inference(models, settings, found):
    with pytest.raises(ValueError, match=f"^{re.escape(found)}"):
        load_model(models, **settings)


def test_switches_are_meant_as_they_are_spelt(models):
    assert load_model(models, gated="no").network.classifier is None


@pytest.mark.parametrize("image", [None, 3, [1, 2], torch.zeros(4, 4, 3, dtype=torch.uint8), Image.new("RGB", (4, 4))])
def test_what_is_no_image_is_said(models, image):
    with pytest.raises(ValueError, match=r"^expected an image \(H, W, 3\) uint8 of NumPy, or the path of a file, found "):
        load_model(models).segment(image)


def test_faults(models, tmp_path):
    model = load_model(models, gated=False)
    for ask in (model.classify, model.class_activation_maps):
        with pytest.raises(ValueError, match="gated=True"):
            ask(np.zeros((32, 32, 3), np.uint8))
    for image in (np.zeros((32, 32), np.uint8), np.zeros((32, 32, 3)), np.zeros((0, 3, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"expected an image \(H, W, 3\) uint8"):
            model.segment(image)
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        model.segment(tmp_path / "none.png")
    for mpp in (0, -1, 1e4, "0.5", [0.5]):
        with pytest.raises(ValueError, match=r"^mpp.*0\.01 to 100"):
            model.segment(np.zeros((32, 32, 3), np.uint8), mpp=mpp)
    with pytest.raises(ValueError, match=r"found 1 µm/px, the weights are for 0\.5"):
        load_model(models, gated=False, resample=False).segment(np.zeros((32, 32, 3), np.uint8), mpp=1.0)
    with pytest.raises(ValueError, match=r"flps"):
        load_model(models, flps=True)
    with pytest.raises(FileNotFoundError, match="no weights"):
        load_model(tmp_path)


def test_importing_and_using_it_leaves_the_process_as_it_was(models, images):
    code = """
import random, sys
import numpy as np, torch
from monai.data import get_track_meta
def state():
    return (get_track_meta(), torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist(),
            torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype(), sys.excepthook, list(sys.path),
            torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)
before = state()
from scripts.inference import load_model
assert state() == before, "import"
model = load_model(sys.argv[1])
model.segment(sys.argv[2]); model.classify(sys.argv[2]); model.class_activation_maps(sys.argv[2])
assert state() == before, "use"
"""
    # the network's backbone is of these tests
    code = f"import sys; sys.path[:0] = [{BUNDLE_ROOT!r}, {str(Path(__file__).parents[1])!r}]\n" + code.replace(
        "model = load_model", "import tiny\nmodel = load_model"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(models), str(images / "patch.png")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
