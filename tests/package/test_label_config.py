from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from packed import FACTS, NAME, unpacked, write_real_models
from scripts.core.image_writers import write_image
from scripts.core.images import read_mask
from scripts.inference import load_model
from scripts.package import package
from scripts.package.label_config import label_config

# a process that knows nothing of the bundle but where it was unpacked
ALONE = """
import sys
from monailabel.tasks.infer.bundle import BundleInferTask
bundle, image, out = sys.argv[1:]
task = BundleInferTask(bundle, {})
assert task.is_valid() and task.dimension == 2 and task.labels == {"tumour": 0, "stroma": 1, "lymphocytes": 2}, task.labels
file, found = task({"image": image, "device": "cpu", "result_extension": ".png"})
assert found["label_names"] == task.labels
import shutil
shutil.copy(file, out)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_real_models(tmp_path_factory.mktemp("run") / "models")


@pytest.fixture(scope="module")
def bundle(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    return unpacked(package(str(models), str(folder), NAME), folder)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Larger than a window, of unequal sides, with white in it."""
    pixels = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 256, (10, 7, 3), dtype=np.uint8), 9, 0), 9, 1)
    pixels[:20, :30] = 255
    path = tmp_path_factory.mktemp("images") / "image.png"
    write_image(path, pixels)
    return path


@pytest.fixture(scope="module")
def expected(models, image):
    found = load_model(models, device="cpu", amp=False).segment(image).label_map
    assert found.shape == (90, 63) and len(np.unique(found)) > 1 and FACTS.white_value in found
    return found


def test_it_has_the_keys_that_monai_label_asks_for_and_reads_images_of_the_package_alone():
    config = label_config()
    assert {"bundle_root", "device", "network_def", "preprocessing", "inferer", "postprocessing"} <= set(config)
    assert "run" not in config and "dataset_dir" not in config
    assert config["network_def"] == "$network_of(@model_dir + '/model.pt', 'segmenter')"


def test_by_hand_it_gives_the_label_map_of_the_bundle_as_width_by_height(bundle, image, expected):
    """What MONAI Label does, ``BasicInferTask.__call__``, in a few lines."""
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs/inference.json"))
    parser.config.update({"bundle_root": str(bundle), "device": "cpu"})
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(bundle / "models/model.pt", weights_only=True))
    data = parser.get_parsed_content("preprocessing")({"image": str(image)})
    with torch.no_grad():
        data["pred"] = parser.get_parsed_content("inferer")(data["image"][None], network)[0]
    found = np.asarray(parser.get_parsed_content("postprocessing")(data)["pred"])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found.T, expected)


def test_monai_label_segments_an_image(bundle, image, expected, tmp_path):
    pytest.importorskip(
        "monailabel.tasks.infer.bundle", reason="the package monailabel is not installed", exc_type=ImportError
    )
    import monailabel

    path = os.pathsep.join([str(Path(monailabel.__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(bundle), str(image), str(tmp_path / "found.png")], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    np.testing.assert_array_equal(read_mask(tmp_path / "found.png"), expected)
