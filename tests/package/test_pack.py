from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigWorkflow, ckpt_export, verify_metadata, verify_net_in_out
from packed import FACTS, NAME, read_only, unpacked, write_real_models
from scripts import BUNDLE_ROOT
from scripts.core.digest import file_sha256
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image
from scripts.core.images import read_mask
from scripts.package import package
from scripts.weights.description import read_description
from tiny import write_models
from zoo_schema import SCHEMA

CONFIG = Path(BUNDLE_ROOT) / "configs" / "package.yaml"

# a process that knows nothing of the bundle but where it was unpacked
ALONE = f"""
import json, sys, warnings
warnings.simplefilter("ignore")
import torch
from monai.bundle import create_workflow, load
folder, images, out = sys.argv[1:]
network = load({NAME!r}, bundle_dir=folder)
state = torch.load(f"{{folder}}/{NAME}/models/model.pt", weights_only=True)
own = network.state_dict()
equal = state.keys() == own.keys() and all(torch.equal(value, own[name].cpu()) for name, value in state.items())
workflow = create_workflow(
    config_file=f"{{folder}}/{NAME}/configs/inference.yaml", workflow_type="infer", dataset_dir=images, output_dir=out,
    device="$torch.device('cpu')", amp=False, progress=False,
)
missing = workflow.check_properties()
workflow.run()
import scripts
print(json.dumps([type(network).__name__, equal, missing, scripts.BUNDLE_ROOT]))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_real_models(tmp_path_factory.mktemp("run") / "models")


@pytest.fixture(scope="module")
def packed(models, tmp_path_factory):
    return package(str(models), str(tmp_path_factory.mktemp("out")), NAME)


@pytest.fixture(scope="module")
def bundle(packed, tmp_path_factory):
    """The package, unpacked where nobody may write."""
    folder = tmp_path_factory.mktemp("elsewhere")
    root = unpacked(packed, folder)
    with read_only(folder):
        yield root


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for name, size in (("small", (40, 56)), ("large", (90, 70))):
        tissue = np.repeat(np.repeat(rng.integers(0, 256, (10, 10, 3), dtype=np.uint8), 9, 0), 9, 1)
        write_image(folder / f"{name}.png", tissue[: size[0], : size[1]])
    return folder


@pytest.fixture(scope="module")
def label_maps(models, images, tmp_path_factory):
    """Those of the bundle as it stands, before it was packed."""
    return _segment(Path(BUNDLE_ROOT), images, tmp_path_factory.mktemp("before"), model_dir=str(models))


def _segment(bundle: Path, images: Path, out: Path, **settings: str) -> dict[str, np.ndarray]:
    workflow = ConfigWorkflow(
        str(bundle / "configs/inference.yaml"), workflow_type=None, logging_file=False, bundle_root=str(bundle),
        dataset_dir=str(images), output_dir=str(out), device="cpu", amp=False, progress=False, **settings,
    )  # fmt: skip
    workflow.initialize()
    workflow.run()
    return _maps(out)


def _maps(out: Path) -> dict[str, np.ndarray]:
    return {p.name: read_mask(p) for p in sorted(out.glob("inference/*_mask.png"))}


def _same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return found.keys() == expected.keys() and all(np.array_equal(found[k], expected[k]) for k in expected)


def test_what_is_unpacked_segments_as_before_from_any_folder(bundle, images, label_maps, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(label_maps) == 2 and len(np.unique(np.concatenate([m.ravel() for m in label_maps.values()]))) > 1
    assert _same(_segment(bundle, images, tmp_path / "out"), label_maps)


def test_it_runs_alone_and_monai_loads_its_network(bundle, images, label_maps, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    arguments = [str(bundle.parent), str(images), str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == ["DeepLabV3Plus", True, [], str(bundle)]
    assert _same(_maps(tmp_path / "out"), label_maps)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_it_passes_what_the_zoo_checks(bundle, models, tmp_path, monkeypatch):
    """Its files, metadata by the schema, shapes by the metadata, and TorchScript by scripting."""
    monkeypatch.chdir(tmp_path)
    files = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert {"LICENSE", "configs/metadata.json", "configs/inference.yaml", "docs/README.md", "models/model.pt"} <= files
    assert {"models/classifier.pt", "models/model.json", "models/classifier.json", "scripts/__init__.py"} <= files
    assert not [f for f in files if re.search(r"(^|/)[._](?!_init__)|\.pyc$|^(data|output|eval)/", f)]
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    meta_file, config_file = str(bundle / "configs/metadata.json"), str(bundle / "configs/inference.yaml")
    verify_metadata(meta_file=meta_file, filepath=str(tmp_path / "schema.json"))
    metadata = json.loads(Path(meta_file).read_text())
    assert metadata["version"] in metadata["changelog"]
    described = read_description(models / "model.pt")
    output = metadata["network_data_format"]["outputs"]["pred"]
    assert tuple(output["channel_def"].values()) == described.facts.descriptions and metadata["mpp"] == described.facts.mpp
    common = {"meta_file": meta_file, "config_file": config_file, "bundle_root": str(bundle)}
    for net_id, name in (("network_def", "model"), ("classifier_def", "classifier")):
        if net_id == "network_def":
            verify_net_in_out(net_id=net_id, device="cpu", **common)
        weights = str(bundle / f"models/{name}.pt")
        ckpt_export(net_id=net_id, filepath=str(tmp_path / f"{name}.ts"), ckpt_file=weights, **common)
        assert torch.jit.load(tmp_path / f"{name}.ts")(torch.rand(1, 3, 64, 64)).shape[1] == 3


def test_the_card_links_to_pages_of_the_package(bundle):
    text = (bundle / "docs/README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links and all((bundle / "docs" / link).is_file() for link in links)
    assert f'load("{NAME}", bundle_dir=".")' in text


def test_the_same_weights_give_the_same_bytes(models, packed, tmp_path):
    shutil.copytree(models, tmp_path / "run/models", copy_function=shutil.copyfile)
    again = package(str(tmp_path / "run/models"), str(tmp_path / "out"), NAME)
    assert again.name == packed.name and again.read_bytes() == packed.read_bytes()
    with zipfile.ZipFile(packed) as archive:
        assert {Path(n).parts[0] for n in archive.namelist()} == {NAME}
        assert not [n for n in archive.namelist() if n.startswith("/") or ".." in Path(n).parts]


def test_a_package_can_be_packed_again(bundle, packed, tmp_path):
    """What was packed holds no trace of where."""
    assert package(str(bundle / "models"), str(tmp_path), NAME).read_bytes() == packed.read_bytes()


@pytest.mark.parametrize("url", [None, "https://host/weights/"])
def test_large_weights_are_listed_for_the_zoo(models, tmp_path, monkeypatch, url):
    size = (models / "model.pt").stat().st_size
    monkeypatch.setattr("scripts.package.pack._LARGE", size - 1)
    root = unpacked(package(str(models), str(tmp_path), NAME, large_files_url=url), tmp_path)
    rows = {row.pop("path"): row for row in yaml.safe_load((root / "large_files.yml").read_text())["large_files"]}
    assert rows["models/model.pt"] == {
        "url": "https://host/weights/model.pt" if url else "", "hash_val": file_sha256(models / "model.pt"),
        "hash_type": "sha256",
    }  # fmt: skip
    assert {name for name in rows if name.startswith("models/")} == {
        f"models/{p.name}" for p in models.glob("*.pt") if p.stat().st_size >= size
    }
    assert (root / "models/model.pt").is_file()


def test_small_weights_need_no_list(bundle):
    assert not (bundle / "large_files.yml").exists()


# --- what does not fit --------------------------------------------------------------------------------------------------


def _without(name):
    return lambda folder: (folder / name).unlink()


def _damaged(folder):
    weights = (folder / "model.pt").read_bytes()
    (folder / "model.pt").write_bytes(weights[: len(weights) // 2])


def _of_ones_own(folder):
    write_models(folder, FACTS)


def _of_other_classes(folder):
    other = write_real_models(folder / "other", DatasetFacts(classes=("a", "b")))
    for suffix in ("pt", "json"):
        shutil.copy(other / f"classifier.{suffix}", folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, r"no weights at .*model\.pt: train first, or name a folder that holds model\.pt"),
        (_without("model.pt"), r"no weights at .*model\.pt"),
        (_without("classifier.pt"), r"no weights at .*classifier\.pt"),
        (_without("classifier.json"), r"classifier\.pt: nothing says what these weights are"),
        (_damaged, r"model\.pt: not the weights that model\.json describes: found SHA-256"),
        (_of_ones_own, r"the weights are of TinyExtractor, a network of your own"),
        (_of_other_classes, r"classifier\.pt: found classes \['a', 'b'\], expected \['TUM', 'STR', 'LYM'\]"),
    ],
)
def test_weights_that_are_not_whole_are_refused(models, tmp_path, change, message):
    shutil.copytree(models, tmp_path / "models")
    change(tmp_path / "models")
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        package(str(tmp_path / "models"), str(tmp_path / "out"), NAME)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(models, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(
        PermissionError, match=r"cannot write to .*/out/package: Not a directory; choose another output folder"
    ):
        package(str(models), str(tmp_path / "out"), NAME)


def test_another_zip_of_this_name_is_left_as_it_is(models, packed, tmp_path):
    (tmp_path / "package").mkdir()
    there = Path(shutil.copy(packed, tmp_path / "package"))
    package(str(models), str(tmp_path), NAME)
    other = write_real_models(tmp_path / "other", seed=2)
    with pytest.raises(ValueError, match=r"is there already, with other content"):
        package(str(other), str(tmp_path), NAME)
    assert there.read_bytes() == packed.read_bytes() and len(list(there.parent.glob("*.zip"))) == 1


@pytest.mark.parametrize("name", ["", "../up", "a b", "1st"])
def test_a_name_that_is_no_folder_is_refused(models, tmp_path, name):
    with pytest.raises(ValueError, match=r"name: found .* expected letters, digits, _ and -"):
        package(str(models), str(tmp_path), name)


def test_the_config_packs_by_its_settings(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"model_dir": str(models), "output_dir": str(tmp_path), "name": NAME, "version": "9.0.1", "change": "first"}
    settings |= {"metadata": {"authors": "A. Pathologist"}, "data_license": "CC0"}
    workflow = ConfigWorkflow(str(CONFIG), workflow_type=None, logging_file=False, **settings)
    workflow.initialize()
    workflow.run()
    root = unpacked(tmp_path / f"package/{NAME}_v9.0.1.zip", tmp_path)
    metadata = json.loads((root / "configs/metadata.json").read_text())
    assert metadata["authors"] == "A. Pathologist" and metadata["changelog"]["9.0.1"] == "first"
    assert "Terms of the training data: CC0" in (root / "docs/README.md").read_text()
    assert FACTS.name == metadata["data_source"]
