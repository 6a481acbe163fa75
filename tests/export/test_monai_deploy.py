from __future__ import annotations

import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_exports import SIZE, export, run_config, unit, write_decided_models
from monai.bundle import ConfigParser
from monai.data import get_track_meta, set_track_meta
from scripts.core.digest import file_sha256
from scripts.core.image_writers import write_image
from scripts.core.images import read_mask
from small_slides import FACTS, drawn


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    models = write_decided_models(tmp_path_factory.mktemp("run") / "models")
    return models, export(models, models.parent, forms=["monai_deploy"]) / "model.ts"


def _texts(path):
    texts = dict.fromkeys(("metadata.json", "inference.json", "description.json"), "")
    module = torch.jit.load(str(path), _extra_files=texts)
    return module, {name: json.loads(text) for name, text in texts.items()}


def _by_hand(path, image):
    """What MONAI Deploy does with an image (H, W, 3): ``MonaiBundleInferenceOperator.compute`` in a few lines."""
    module, texts = _texts(path)
    parser = ConfigParser(texts["inference.json"])
    found = parser.get_parsed_content("preprocessing")({"image": image})
    with torch.inference_mode():
        found["pred"] = parser.get_parsed_content("inferer")(inputs=found["image"][None], network=module)[0]
    return np.asarray(parser.get_parsed_content("postprocessing")(found)["pred"])


def test_the_file_holds_what_monai_deploy_reads_where_it_looks(made):
    models, path = made
    assert sorted(p.name for p in path.parent.glob("*.ts*")) == ["model.ts"]
    with zipfile.ZipFile(path) as archive:
        assert {"model/extra/metadata.json", "model/extra/inference.json", "model/data.pkl"} <= set(archive.namelist())
    _, texts = _texts(path)
    formats = texts["metadata.json"]["network_data_format"]
    assert (list(formats["inputs"]), list(formats["outputs"])) == (["image"], ["pred"])
    assert formats["inputs"]["image"]["type"] == formats["outputs"]["pred"]["type"] == "image"
    assert list(formats["outputs"]["pred"]["channel_def"].values()) == list(FACTS.descriptions)
    assert set(texts["inference.json"]) == {"preprocessing", "inferer", "postprocessing"}
    inferer = texts["inference.json"]["inferer"]
    assert (inferer["roi_size"], inferer["overlap"]) == ([SIZE, SIZE], 0.25)  # as the weights say
    assert "scripts." not in json.dumps(texts["inference.json"])  # a file alone has no bundle beside it
    for kind, name in (("segmenter", "model.pt"), ("classifier", "classifier.pt")):
        assert texts["description.json"]["weights"][kind]["sha256"] == file_sha256(models / name)


def test_a_patch_has_the_label_map_of_the_bundle(made, tmp_path):
    models, path = made
    image = drawn()[120 : 120 + SIZE, 100 : 100 + SIZE]
    write_image(tmp_path / "images/patch.png", image)
    places = {"model_dir": str(models), "output_dir": str(tmp_path), "dataset_dir": str(tmp_path / "images")}
    run_config("inference", places, amp=False, device="cpu")
    found = _by_hand(path, image)
    assert found.shape == (1, SIZE, SIZE) and len(np.unique(found)) > 1
    np.testing.assert_array_equal(found[0], read_mask(tmp_path / "inference/patch_mask.png"))


def test_windows_of_a_larger_image_are_blended(made):
    _, path = made
    image = drawn()[60:160, 100:230]
    module, _ = _texts(path)
    found = _by_hand(path, image)[0]
    assert found.shape == image.shape[:2]
    corner = module(unit(image[:SIZE, :SIZE]))[0].argmax(dim=0).numpy()
    np.testing.assert_array_equal(found[:16, :16], corner[:16, :16])  # which one window alone sees


def test_monai_deploy_reads_and_runs_it(made):
    operators = pytest.importorskip(
        "monai.deploy.operators.monai_bundle_inference_operator",
        reason="the package monai-deploy-app-sdk is not installed",
        exc_type=ImportError,
    )
    core = pytest.importorskip("monai.deploy.core")
    _, path = made
    image = drawn()[60:160, 100:230]
    maps = [operators.IOMapping(name, core.Image, core.IOType.IN_MEMORY) for name in ("image", "pred")]
    application, sent = core.Application(), {}
    operator = operators.MonaiBundleInferenceOperator(
        application, app_context=SimpleNamespace(models=None), input_mapping=maps[:1], output_mapping=maps[1:],
        bundle_path=str(path), name="segment",
    )  # fmt: skip
    received = SimpleNamespace(receive=lambda name: core.Image(image))
    output = SimpleNamespace(get=lambda name: None, emit=lambda value, name: sent.update({name: value}))
    tracked = get_track_meta()
    set_track_meta(True)  # as in a process of its own; a stage of the bundle has switched it off
    try:
        operator.compute(received, output, None)
    finally:
        set_track_meta(tracked)
    np.testing.assert_array_equal(sent["pred"].asnumpy(), _by_hand(path, image)[0])
