from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import torch
import yaml
from made_exports import export, unit, write_decided_models
from scripts.core.digest import file_sha256
from scripts.export.bioimageio_model import _identifiers
from scripts.weights.files import load_weights
from small_slides import FACTS, drawn


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    models = write_decided_models(tmp_path_factory.mktemp("run") / "models")
    return models, export(models, models.parent, forms=["bioimageio"]) / "segmenter.bioimageio.zip"


def test_the_archive_holds_the_network_with_a_test_of_it(made):
    models, path = made
    assert not list(path.parent.glob("[cg][la]*")), "it is of the segmenter alone"
    with zipfile.ZipFile(path) as archive:
        content = yaml.safe_load(archive.read("rdf.yaml"))
        read = {name: io.BytesIO(archive.read(name)) for name in archive.namelist()}
    (given,), (output,) = content["inputs"], content["outputs"]
    image, expected = (np.load(read[end["test_tensor"]["source"]]) for end in (given, output))
    (scale,) = given["preprocessing"]
    assert image.max() > 200 and image.dtype == np.float32 and (image == image.round()).all()
    network = torch.jit.load(read[content["weights"]["torchscript"]["source"]])
    network = lambda x, graph=network: graph(x).detach().numpy()  # noqa: E731
    unscaled = torch.from_numpy(image) * scale["kwargs"]["gain"] + scale["kwargs"]["offset"]
    np.testing.assert_allclose(network(unscaled), expected, atol=1e-5)
    window = unit(drawn()[100:171, 100:190])
    with torch.inference_mode():
        logits = load_weights(models / "model.pt", "segmenter").network(window)
    np.testing.assert_allclose(network(window), torch.softmax(logits, dim=1).numpy(), atol=1e-5)
    assert [axis.get("scale") for axis in given["axes"]] == [None, None, 1.0, 1.0]
    assert output["axes"][1]["channel_names"] == list(FACTS.classes)
    description = content["config"]["tissue_bundle"]
    assert description["weights"]["segmenter"]["sha256"] == file_sha256(models / "model.pt")
    assert description["check"]["largest_difference"] < 1e-5 and description["output"]["name"] == "probabilities"
    assert json.dumps(description)  # plain values alone


def test_the_specification_is_met(made):
    spec = pytest.importorskip("bioimageio.spec")
    found = spec.load_description(made[1], format_version="discover")
    assert found.validation_summary.status == "valid-format" or found.validation_summary.status == "passed", (
        found.validation_summary.format()
    )


def test_its_own_program_gets_the_expected_probabilities(made):
    core = pytest.importorskip("bioimageio.core")
    found = core.test_description(made[1], determinism="seed_only")
    assert found.status == "passed", found.format()


def test_channels_have_names_that_differ():
    assert _identifiers(("Tumour epithelium", "a/b", "a b", "1st", "é")) == [
        "tumour_epithelium", "class_1", "class_2", "class_3", "class_4",
    ]  # fmt: skip
