"""Files of weights that are damaged, of another kind, hostile, or hold what a network cannot take: one message each."""

from __future__ import annotations

import json
import pickle
import random
import zipfile

import numpy as np
import pytest
import torch
from published_files import published_names, write_params
from scripts.core.facts import DatasetFacts
from scripts.networks.classifier import TissueClassifier
from scripts.networks.resnet38 import ResNet38
from scripts.weights.files import load_state, load_weights, save_weights
from scripts.weights.mxnet_params import read_mxnet_params
from scripts.weights.published import convert_checkpoints, load_published
from tiny import write_models
from torch import nn

WORDS = "not a readable file of weights"


class _Code:
    def __reduce__(self):
        return (exec, ("raise SystemError('code ran')",))


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def _zip(path, names, source=None, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in names:
            archive.writestr(name, source.read(name) if source else "x")


def _compressed(path):
    torch.save({"weight": torch.zeros(10**6)}, path.with_suffix(".whole"))
    with zipfile.ZipFile(path.with_suffix(".whole")) as source:
        _zip(path, source.namelist(), source, zipfile.ZIP_DEFLATED)


def _cut(path, legacy):
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[:-1000])


def _claimed(path, legacy):
    torch.save({"weight": torch.zeros(1000)}, path, _use_new_zipfile_serialization=not legacy)
    data, small, large = path.read_bytes(), b"M\xe8\x03", b"M\xff\xff" if not legacy else b"J\xff\xff\xff\x7f"
    assert small in data
    path.write_bytes(data.replace(small, large))


FILES = {
    "empty": (lambda p: p.touch(), "it is empty"),
    "folder": (lambda p: p.mkdir(), "found a folder, expected a file of weights"),
    "text": (lambda p: p.write_text("hello, this is text"), WORDS),
    "page": (lambda p: p.write_text("<!DOCTYPE html><html>"), WORDS),
    "zeros": (lambda p: p.write_bytes(bytes(1000)), WORDS),
    "zip": (lambda p: _zip(p, ["a.txt"]), "a zip archive of other files"),
    "compressed": (_compressed, "claims more than it holds"),
    "program": (lambda p: torch.jit.save(torch.jit.script(nn.Linear(1, 1)), str(p)), "an exported program"),
    "object": (lambda p: torch.save(network(), p), "more than tensors, and running its code is refused"),
    "code": (lambda p: torch.save({"weight": _Code()}, p), "more than tensors, and running its code is refused"),
    "array": (lambda p: torch.save({"weight": np.zeros(3)}, p), "more than tensors, and running its code is refused"),
    "pickle": (lambda p: p.write_bytes(pickle.dumps(_Code())), WORDS),
    "cut": (lambda p: _cut(p, False), WORDS),
    "cut legacy": (lambda p: _cut(p, True), WORDS),
    "claims": (lambda p: _claimed(p, False), WORDS),
    "claims legacy": (lambda p: _claimed(p, True), WORDS),
    "number": (lambda p: torch.save(3, p), "expected a state dict of tensors by their names, found int"),
    "nothing": (lambda p: torch.save({}, p), "expected a state dict of tensors by their names, found none"),
    "numbers": (lambda p: torch.save({"weight": 3}, p), "found int under 'weight'"),
    "names": (lambda p: torch.save({0: torch.zeros(1)}, p), "found Tensor under 0"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FILES)
def test_files_that_hold_no_weights(tmp_path, kind):
    """Of this bundle and published: the file is named, nothing in it is run, and nobody is told to drop the guard."""
    write, says = FILES[kind]
    path = tmp_path / "w.pt"
    write(path)
    for load in (lambda: load_state(network(), path), lambda: load_published(network(), path, "classifier")):
        with pytest.raises(ValueError, match=says) as error:
            load()
        message = str(error.value)
        assert message.startswith(str(path)) and "weights_only" not in message and "\n" not in message


STATES = {
    "nan": (lambda s: s["0.weight"].fill_(torch.nan), r"not finite in 1 entries \['0\.weight'\]"),
    "infinite": (lambda s: s["1.running_mean"].fill_(torch.inf), r"not finite in 1 entries \['1\.running_mean'\]"),
    "beyond float32": (lambda s: s.update({"0.bias": torch.full((4,), 1e300, dtype=torch.float64)}), r"not finite .*0\.bias"),
    "negative variance": (lambda s: s["1.running_var"].fill_(-1), r"variances below zero in 1 entries \['1\.running_var'\]"),
    "complex": (lambda s: s.update({"0.bias": torch.zeros(4, dtype=torch.complex64)}), r"0\.bias: found complex64, expected float32"),
    "integers": (lambda s: s.update({"0.bias": torch.zeros(4, dtype=torch.int64)}), r"0\.bias: found int64, expected float32"),
    "booleans": (lambda s: s.update({"0.bias": torch.zeros(4, dtype=torch.bool)}), r"0\.bias: found bool, expected float32"),
    "eight bits": (lambda s: s.update({"0.bias": torch.zeros(4).to(torch.float8_e4m3fn)}), r"0\.bias: found float8_e4m3fn, expected"),
    "float counter": (lambda s: s.update({"1.num_batches_tracked": torch.tensor(1.0)}), r"num_batches_tracked: found float32, expected int64"),
    "shape": (lambda s: s.update({"0.bias": torch.zeros(1, 4)}), r"1 of another shape \['0\.bias: found \(1, 4\), expected \(4,\)'\]"),
    "one value for all": (lambda s: s.update({"0.bias": torch.zeros(1).expand(10**12)}), "1 of another shape"),
    "missing": (lambda s: s.pop("0.bias"), r"1 entries missing \['0\.bias'\]"),
    "surplus": (lambda s: s.update(x=torch.zeros(1)), r"1 unknown \['x'\]"),
    "sparse": (lambda s: s.update({"0.bias": torch.zeros(4).to_sparse()}), r"0\.bias: found a sparse, quantised or empty tensor"),
    "quantised": (lambda s: s.update({"0.bias": torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8)}), r"0\.bias: found a sparse, quantised"),
    "without values": (lambda s: s.update({"0.bias": torch.zeros(4, device="meta")}), r"0\.bias: found a sparse, quantised or empty"),
    "nested": (lambda s: s.update({"0.bias": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(2)])}), r"0\.bias: found a sparse"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", STATES)
def test_entries_that_a_network_cannot_take(tmp_path, kind):
    change, says = STATES[kind]
    filled, path = network(), tmp_path / "w.pt"
    before = {name: value.clone() for name, value in filled.state_dict().items()}
    state = network().state_dict()
    change(state)
    torch.save(state, path)
    with pytest.raises(ValueError, match=says) as error:
        load_state(filled, path)
    assert str(error.value).startswith(str(path))
    assert all(torch.equal(value, before[name]) for name, value in filled.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_taken(tmp_path, dtype):
    state = {k: v.to(dtype) if v.is_floating_point() else v.to(torch.int32) for k, v in network().state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    found = load_state(network(), tmp_path / "w.pt").state_dict()
    assert (
        all(torch.equal(found[k], v.to(found[k].dtype)) for k, v in state.items()) and found["0.bias"].dtype == torch.float32
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s["fc8.weight"].fill_(torch.nan), r"not finite in 1 entries \['class_head\.weight'\]"),
        (lambda s: s.update({"fc8.weight": s["fc8.weight"].int()}), r"class_head\.weight: found int32, expected float32"),
        (
            lambda s: s.update({"module.fc8.weight": s["fc8.weight"], "module.x": s["fc8.weight"]}),
            r"1 unknown \['extractor\.x'\]",
        ),
        (lambda s: s["bn7.running_var"].fill_(-1.0), "variances below zero"),
    ],
)
def test_published_checkpoints_are_held_to_the_same(tmp_path, change, says):
    classifier = TissueClassifier(ResNet38(1 / 16), 2)
    state = published_names(TissueClassifier(ResNet38(1 / 16), 2))
    change(state)
    torch.save(state, tmp_path / "p.pth")
    with pytest.raises(ValueError, match=says) as error:
        load_published(classifier, tmp_path / "p.pth", "classifier")
    assert str(error.value).startswith(f"{tmp_path / 'p.pth'} ") or "p.pth: " in str(error.value)


def test_an_import_that_fails_writes_nothing(tmp_path):
    (tmp_path / "c.pth").touch()
    with pytest.raises(ValueError, match=r"c\.pth: not a readable file of weights \(it is empty\)"):
        convert_checkpoints(tmp_path / "c.pth", None, DatasetFacts(classes=("a", "b")), tmp_path / "models", (224, 224))
    assert not (tmp_path / "models").exists()


def _damaged(data, rng):
    """Cut, with bits turned, numbers at their limits, or bytes inserted."""
    data, position = bytearray(data), rng.randrange(len(data))
    how = rng.randrange(4)
    if how == 0:
        return bytes(data[:position])
    if how == 1:
        for _ in range(rng.choice([1, 2, 8])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == 2:
        data[position : position + 8] = rng.choice([b"\xff" * 8, bytes(8), b"\xff" * 7 + b"\x7f", b"\xff\xff\xff\x7f"])
    else:
        data[position:position] = rng.randbytes(rng.randrange(1, 64))
    return bytes(data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(4))
def test_damage_ends_in_one_message_or_does_no_harm(tmp_path, seed):
    rng = random.Random(seed)
    arrays = {"arg:a_weight": np.ones((2, 3), np.float32), "aux:a_moving_var": np.ones(2, np.float16)}
    wholes = [write_params(tmp_path / "w", arrays, version).read_bytes() for version in ("legacy", "v1", "v2")]
    readers = [read_mxnet_params] * 3
    for legacy in (False, True):
        torch.save(network().state_dict(), tmp_path / "w", _use_new_zipfile_serialization=not legacy)
        wholes.append((tmp_path / "w").read_bytes())
        readers.append(lambda path: load_state(network(), path))
    refused = 0
    for _ in range(100):
        kind = rng.randrange(len(wholes))
        path = tmp_path / "damaged"
        path.write_bytes(_damaged(wholes[kind], rng))
        try:
            readers[kind](path)
        except ValueError as error:
            refused += 1
            assert str(error).startswith(str(path)) and "weights_only" not in str(error) and "\n" not in str(error)
    assert refused > 50


@pytest.mark.parametrize("kind", ["classifier", "segmenter"])
def test_weights_that_are_described_are_read_with_the_same_care(tmp_path, kind):
    """As the description's digest is whatever whoever wrote it says."""
    folder = write_models(tmp_path, DatasetFacts(classes=("a", "b")))
    path = folder / ("classifier.pt" if kind == "classifier" else "model.pt")
    weights = load_weights(path, kind)
    weights.network.extractor.b[1].running_var.fill_(torch.nan)
    save_weights(path, weights.network, json.loads(path.with_suffix(".json").read_text()))
    with pytest.raises(ValueError, match=r"not finite in 1 entries \['extractor\.b\.1\.running_var'\]"):
        load_weights(path, kind)
