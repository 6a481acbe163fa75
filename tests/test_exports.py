"""Exports give what PyTorch gives: patches, a region of odd sides, and a slide, each by one override."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from made_exports import EACH_FORM, FORMS, NEEDS_ONNX, SIZE, export, run_config, unit, write_decided_models
from monai.bundle import ConfigParser
from scripts import BUNDLE_ROOT
from scripts.core.digest import file_sha256
from scripts.core.errors import message, root_cause
from scripts.core.image_writers import write_image
from scripts.core.images import read_mask
from scripts.data.datalist import write_datalist
from scripts.inference import load_model
from small_slides import FACTS, drawn, write_slide


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_decided_models(tmp_path_factory.mktemp("run") / "models")


@pytest.fixture(scope="module")
def exports(models):
    return export(models, models.parent)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """50 patches, and a region whose sides are no multiple of any stride."""
    folder, pixels = tmp_path_factory.mktemp("images"), drawn(700, 700, 3)
    for number in range(50):
        y, x = 90 + 45 * (number // 8), 40 + 65 * (number % 8)
        write_image(folder / f"patch{number:02d}.png", pixels[y : y + SIZE, x : x + SIZE])
    write_image(folder / "region.png", pixels[101:300, 51:302])
    return folder


def _maps(folder):
    return {p.stem: read_mask(p) for p in sorted(folder.glob("inference/*_mask.png"))}


@pytest.fixture(scope="module")
def expected(models, images, tmp_path_factory):
    """Label maps of PyTorch in float32, as exports are."""
    out = tmp_path_factory.mktemp("pytorch")
    run_config("inference", {"model_dir": str(models), "dataset_dir": str(images), "output_dir": str(out)}, amp=False)
    maps = _maps(out)
    counts = np.bincount(np.concatenate([m.ravel() for m in maps.values()]), minlength=3)
    assert len(maps) == 51 and maps["region_mask"].shape == (199, 251) and (counts > 0.02 * counts.sum()).sum() >= 2
    return maps


@EACH_FORM
def test_label_maps_of_patches_and_of_a_region_are_those_of_pytorch(models, exports, images, expected, tmp_path, form):
    places = {"model_dir": str(models), "dataset_dir": str(images), "output_dir": str(tmp_path)}
    run_config("inference", places, form=form, export_dir=str(exports))
    found = _maps(tmp_path)
    assert {name: int((found[name] != m).sum()) for name, m in expected.items()} == dict.fromkeys(expected, 0)
    record = json.loads((tmp_path / "inference/stage.json").read_text())
    run_config("inference", places, form=form, export_dir=str(exports), providers=["CPUExecutionProvider"])
    again = json.loads((tmp_path / "inference/stage.json").read_text())
    assert again["fingerprint"] == record["fingerprint"]  # it says where networks run
    run_config("inference", places, amp=False)
    assert json.loads((tmp_path / "inference/stage.json").read_text())["fingerprint"] != record["fingerprint"]


@EACH_FORM
def test_the_label_map_of_a_slide_is_that_of_pytorch(models, exports, tmp_path, form):
    for package in ("openslide", "rasterio", "shapely"):
        pytest.importorskip(package)
    places = {"slides": str(write_slide(tmp_path / "slides/one.tif", drawn(500, 600))), "model_dir": str(models)}
    maps = {}
    for name, settings in (("pytorch", {"networks": {"amp": False}}), (form, {"form": form, "export_dir": str(exports)})):
        out = tmp_path / name
        run_config("inference_wsi", {**places, "output_dir": str(out)}, device="cpu", **settings)
        maps[name] = tifffile.imread(out / "inference_wsi/one.ome.tif")
    assert maps[form].shape == (250, 300) and len(np.unique(maps[form])) >= 3  # two classes, and background
    assert int((maps[form] != maps["pytorch"]).sum()) == 0


@EACH_FORM
def test_from_python(models, exports, form):
    pixels = drawn()[100:201, 100:251]
    model = load_model(models, "cpu", form=form, export_dir=str(exports))
    plain = load_model(models, "cpu", amp=False)
    found, other = model.segment(pixels), plain.segment(pixels)
    assert np.array_equal(found.label_map, other.label_map)
    np.testing.assert_allclose(found.probabilities, other.probabilities, atol=1e-5)
    assert model.classify(pixels) == pytest.approx(plain.classify(pixels), abs=1e-5)
    with pytest.raises(ValueError, match=f"form {form}.*load the model with form='pytorch'"):
        model.class_activation_maps(pixels)


@EACH_FORM
@pytest.mark.parametrize("graph", ["segmenter", "classifier", "gated"])
def test_the_description_says_what_a_graph_is(models, exports, form, graph):
    path = exports / f"{graph}.{ {'torchscript': 'ts', 'onnx': 'onnx'}[form] }"
    content = json.loads(path.with_name(f"{path.name}.json").read_text())
    made_of = {"classifier": ["classifier"], "segmenter": ["model"], "gated": ["model", "classifier"]}[graph]
    assert [entry["file"] for entry in content["weights"].values()] == [f"{name}.pt" for name in made_of]
    for entry in content["weights"].values():
        assert entry["sha256"] == file_sha256(models / entry["file"])
    assert content["sha256"] == file_sha256(path)
    assert (content["classes"], content["patch_size"], content["mpp"]) == (list(FACTS.classes), [SIZE, SIZE], 1.0)
    assert content["input"]["range"] == [0, 1] and content["input"]["shape"] == ["batch", 3, "height", "width"]
    assert content.get("gate_threshold") == (None if graph == "segmenter" else [0.3] * 3)
    assert content.get("opset") == (18 if form == "onnx" else None)
    assert content.get("made_by") == ("scripting" if form == "torchscript" else None)
    assert content["check"]["patches"] == 4 and content["check"]["largest_difference"] <= 1e-5
    assert content["check"]["sizes"] == [[64, 64], [59, 53], [128, 128]]
    assert content["check"]["equal_argmax"] == 1.0 and content["packages"]["torch"] == torch.__version__


@EACH_FORM
def test_a_gated_graph_is_the_network_of_inference(models, exports, form):
    """What another program gets from the file alone, for any number of images of any size."""
    network = load_model(models, "cpu", amp=False).network
    for image in (unit(drawn()[100:164, 100:164]), unit(drawn()[90:201, 80:155]).repeat(3, 1, 1, 1)):
        if form == "torchscript":
            with torch.inference_mode():
                found = torch.jit.load(str(exports / "gated.ts"))(image)
        else:
            session = pytest.importorskip("onnxruntime").InferenceSession(
                str(exports / "gated.onnx"), providers=["CPUExecutionProvider"]
            )
            assert [(i.name, i.shape[1]) for i in session.get_inputs()] == [("image", 3)]
            found = torch.from_numpy(session.run(["probabilities"], {"image": image.numpy()})[0])
        with torch.inference_mode():
            expected = network(image)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        assert (expected == 0).any(), "the gate takes no class"


def test_the_page_has_every_file_of_an_export(exports):
    page = (Path(BUNDLE_ROOT) / "docs/reference/files.md").read_text()
    ends = {name.replace("<graph>", "") for name in re.findall(r"`export/(<graph>[.\w]+)`", page)}
    stage = {"config.yaml", "environment.json", "stage.json", "tracking.jsonl", "log.txt"}
    graphs = ("segmenter", "classifier", "gated")
    written = {p.name for p in exports.iterdir()} - stage
    assert written <= {f"{graph}{end}" for graph in graphs for end in ends}
    assert len(ends) == 6 and len(written) == len(graphs) * 2 * len(FORMS)


@NEEDS_ONNX
def test_the_page_s_python_runs(exports, tmp_path, monkeypatch, capsys):
    page = Path(BUNDLE_ROOT) / "docs/how-to/export.md"
    (block,) = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    (tmp_path / "my_run").symlink_to(exports.parent)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, page.name, "exec"), {})
    assert capsys.readouterr().out == "(1, 224, 224)\n"


def test_exports_are_checked_on_the_patches_of_a_dataset(models, tmp_path, caplog):
    caplog.set_level("INFO")
    data = tmp_path / "data"
    for number in range(3):
        write_image(data / f"p{number}.png", drawn()[100:190, 60 + 40 * number : 110 + 40 * number])
    entries = [{"image": f"p{number}.png", "label": [1, 0, 0]} for number in range(3)]
    write_datalist(data / "datalist.json", FACTS, {"training": entries})
    folder = export(models, tmp_path, dataset_dir=str(data), forms=["torchscript"], graphs=["segmenter"])
    assert sorted(p.name for p in folder.glob("segmenter*")) == ["segmenter.ts", "segmenter.ts.json"]
    assert not list(folder.glob("[cg][la]*")) and not list(folder.glob(".writing*"))
    assert json.loads((folder / "segmenter.ts.json").read_text())["check"]["patches"] == 3
    assert "segmenter.ts: on 3 patches probabilities differ" in caplog.text


# --- what is wrong is said ----------------------------------------------------------------------------------------------


def _inference(models, tmp_path, **settings):
    write_image(tmp_path / "images/a.png", drawn()[100:164, 100:164])
    places = {"model_dir": str(models), "dataset_dir": str(tmp_path / "images"), "output_dir": str(tmp_path / "out")}
    run_config("inference", places, **settings)


def _error(call, *args, **settings):
    """The one line that the command ends with."""
    with pytest.raises((ValueError, OSError, RuntimeError)) as caught:
        call(*args, **settings)
    said = message(root_cause(caught.value))
    assert said and "\n" not in said
    return said


@EACH_FORM
def test_no_export_is_told_with_the_command_that_writes_it(models, tmp_path, form):
    said = _error(_inference, models, tmp_path, form=form)
    folder = tmp_path / "out"
    assert f"form {form}: no export at {folder}/export/classifier" in said
    assert f"configs/export.yaml --model_dir MODELS --output_dir {folder}" in said


@EACH_FORM
def test_an_export_of_other_weights_is_refused(exports, tmp_path, form):
    other = write_decided_models(tmp_path / "models", seed=2)
    said = _error(_inference, other, tmp_path, form=form, export_dir=str(exports))
    assert "an export of other weights" in said and "of model.pt" in said and "write it anew by" in said


@EACH_FORM
@pytest.mark.parametrize("change", ["cut", "other", "described", "no description"])
def test_a_damaged_export_is_refused(models, exports, tmp_path, form, change):
    folder, end = tmp_path / "export", {"torchscript": "ts", "onnx": "onnx"}[form]
    folder.mkdir()
    for path in exports.glob("*.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    path = folder / f"classifier.{end}"
    described = folder / f"classifier.{end}.json"
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif change == "other":
        path.write_bytes((folder / f"gated.{end}").read_bytes())
    elif change == "described":
        described.write_text("{")
    else:
        described.unlink()
    expected = {"described": "not readable as JSON", "no description": "no export at"}.get(
        change, "damaged, or not the file"
    )
    said = _error(_inference, models, tmp_path, form=form, export_dir=str(folder))
    assert expected in said and str(folder) in said and "configs/export.yaml" in said


@NEEDS_ONNX
def test_a_file_that_onnx_runtime_cannot_load_is_named(models, exports, tmp_path):
    """Its digest is right, its content is none of ONNX."""
    for path in exports.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "classifier.onnx").write_bytes(b"nothing")
    content = json.loads((tmp_path / "classifier.onnx.json").read_text())
    content["sha256"] = file_sha256(tmp_path / "classifier.onnx")
    (tmp_path / "classifier.onnx.json").write_text(json.dumps(content))
    said = _error(_inference, models, tmp_path, form="onnx", export_dir=str(tmp_path))
    assert f"{tmp_path}/classifier.onnx: ONNX Runtime cannot load it" in said


@NEEDS_ONNX
def test_a_provider_that_is_not_there_is_told_with_those_that_are(models, exports, tmp_path):
    said = _error(
        _inference, models, tmp_path, form="onnx", export_dir=str(exports), providers=["TensorrtExecutionProvider"]
    )
    assert "ONNX Runtime has no TensorrtExecutionProvider here" in said and "CPUExecutionProvider" in said


def test_a_package_that_is_missing_is_told(models, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    said = _error(export, models, tmp_path, forms=["onnx"], graphs=["segmenter"])
    assert said.startswith("the package onnx is needed here") and said.endswith("pip install '.[export]'")
    assert not list(tmp_path.glob("export/segmenter*")) and not list(tmp_path.glob("export/.writing*"))


def test_weights_that_are_absent_and_folders_that_cannot_be_written_are_named(models, tmp_path):
    said = _error(export, tmp_path / "none", tmp_path / "out")
    assert said == f"no weights at {tmp_path}/none/model.pt: train first, or name a folder that holds model.pt"
    (tmp_path / "file").write_text("")
    said = _error(export, models, tmp_path / "file")
    assert said == f"cannot write to {tmp_path}/file: File exists; choose another folder"


def test_a_form_that_there_is_not_is_told(models, tmp_path):
    said = _error(_inference, models, tmp_path, form="tflite")
    assert said == "form: found 'tflite', expected one of pytorch, torchscript, onnx, onnx_int8"


def test_a_form_of_a_graph_that_is_not_asked_for_is_told(models, tmp_path):
    said = _error(export, models, tmp_path, forms=["wsinfer"], graphs=["segmenter"])
    assert said == "forms: wsinfer is of the classifier alone, found graphs ['segmenter']; add it to these"


# --- whole numbers of 8 bits ----------------------------------------------------------------------------------------------


@NEEDS_ONNX
def test_int8_is_calibrated_on_training_patches_and_near(models, images, expected, tmp_path):
    entries = [{"image": str(path), "label": [1, 0, 0]} for path in sorted(images.glob("patch*.png"))]
    write_datalist(tmp_path / "data/datalist.json", FACTS, {"training": entries})
    places = {"dataset_dir": str(tmp_path / "data"), "forms": ["onnx_int8"], "graphs": ["segmenter", "classifier"]}
    folder = export(models, tmp_path, num_calibration=40, **places)
    content = json.loads((folder / "segmenter.int8.onnx.json").read_text())
    assert content["quantisation"]["patches"] == 40 and content["opset"] == 18
    assert 1e-4 < content["check"]["largest_difference"] < 0.5 and content["check"]["equal_argmax"] >= 0.97
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(folder / "segmenter.int8.onnx").graph
    held = {i.name: i for i in graph.initializer}
    scaled = [n.input for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in held]
    weights = [names for names in scaled if len(held[names[0]].dims) == 4]
    assert weights and all(list(held[scale].dims) == list(held[w].dims[:1]) for w, scale, *_ in weights)  # per channel
    operators = [node.op_type for node in graph.node]
    assert operators.count("QuantizeLinear") >= operators.count("Conv") > 5
    places = {"model_dir": str(models), "dataset_dir": str(images), "output_dir": str(tmp_path)}
    run_config("inference", places, form="onnx_int8")
    found = _maps(tmp_path)
    wrong = sum(int((found[name] != m).sum()) for name, m in expected.items())
    assert 0 < wrong < 0.03 * sum(m.size for m in expected.values())


def test_int8_needs_a_dataset(models, tmp_path):
    said = _error(export, models, tmp_path, forms=["onnx_int8"])
    assert said == "form onnx_int8: its ranges are measured on training patches; name a dataset: --dataset_dir DIR"


@pytest.mark.parametrize("config", ["inference", "inference_wsi"])
def test_the_files_of_an_export_are_among_what_a_result_depends_on(models, exports, tmp_path, config):
    parser = ConfigParser()
    parser.read_config(f"{BUNDLE_ROOT}/configs/{config}.yaml")
    for key, value in {"model_dir": models, "output_dir": tmp_path, "export_dir": exports, "form": "torchscript"}.items():
        parser[key] = str(value)
    inputs = {path.name for path in parser.get_parsed_content("stage").inputs}
    assert {"segmenter.ts", "classifier.ts", "model.pt", "classifier.pt"} <= inputs
