"""Weights by path and by address, with their hash."""

from __future__ import annotations

import hashlib

import pytest
import torch
from scripts.networks.classifier import TissueClassifier
from scripts.networks.resnet import ResNet
from scripts.networks.segmenter import DeepLabV3Plus
from scripts.weights.download import weights_file
from scripts.weights.published import initialise


@pytest.fixture
def served(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    content = b"weights" * 1000
    digest = hashlib.sha256(content).hexdigest()
    (folder / f"net-{digest[:8]}.pth").write_bytes(content)
    (folder / "net.pth").write_bytes(content)
    return folder, digest


def test_path_with_and_without_hash(served):
    folder, digest = served
    assert weights_file(folder / "net.pth") == folder / "net.pth"
    assert weights_file(str(folder / "net.pth"), digest) == folder / "net.pth"
    assert weights_file(folder / "net.pth", digest[:8].upper()) == folder / "net.pth"
    with pytest.raises(ValueError, match=rf"net.pth has SHA-256 {digest}, expected one that starts with 00000000"):
        weights_file(folder / "net.pth", "00000000")
    with pytest.raises(FileNotFoundError, match=r"absent.pth: no such file"):
        weights_file(folder / "absent.pth")


def test_address_is_downloaded_once_and_checked(served, tmp_path):
    folder, digest = served
    cache = tmp_path / "cache"
    address = (folder / f"net-{digest[:8]}.pth").as_uri()
    path = weights_file(address, cache=cache)
    assert path.parent == cache and path.read_bytes() == b"weights" * 1000
    (folder / f"net-{digest[:8]}.pth").unlink()
    assert weights_file(address, cache=cache) == path
    path.write_bytes(b"spoilt")
    with pytest.raises(ValueError, match=r"kept from an earlier download of file:.* has SHA-256"):
        weights_file(address, cache=cache)


def test_address_by_a_hash_given(served, tmp_path):
    folder, digest = served
    address = (folder / "net.pth").as_uri()
    assert weights_file(address, digest, tmp_path / "cache").read_bytes() == b"weights" * 1000


@pytest.mark.parametrize(
    ("name", "sha256", "error", "words"),
    [
        ("net.pth", None, ValueError, "needs the SHA-256"),
        ("net.pth", "0" * 64, ValueError, "invalid hash value"),
        ("net.pth", "abc", ValueError, "expected 8 to 64 hexadecimal digits"),
        ("net.pth", "not hexadecimal", ValueError, "expected 8 to 64 hexadecimal digits"),
        ("absent.pth", "0" * 64, OSError, "cannot be downloaded"),
    ],
)
def test_refused_and_nothing_kept(served, tmp_path, name, sha256, error, words):
    folder, _ = served
    with pytest.raises(error, match=words):
        weights_file((folder / name).as_uri(), sha256, tmp_path / "cache")
    assert not (tmp_path / "cache").is_dir() or not any((tmp_path / "cache").iterdir())


def test_torchvision_weights_by_address(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def network(seed):
        torch.manual_seed(seed)
        extractor = ResNet(width=1 / 16, blocks=[1, 1, 1, 1], output_stride=16)
        return DeepLabV3Plus(extractor, 3, high_layer="layer4", low_layer="layer1", channels=8, low_channels=4)

    published = {name.removeprefix("extractor."): v for name, v in network(1).state_dict().items() if "extractor" in name}
    published |= {"fc.weight": torch.zeros(1000, 128), "fc.bias": torch.zeros(1000)}
    torch.save(published, tmp_path / "resnet.pth")
    digest = hashlib.sha256((tmp_path / "resnet.pth").read_bytes()).hexdigest()
    address = (tmp_path / "resnet.pth").rename(tmp_path / f"resnet-{digest[:8]}.pth").as_uri()
    found = initialise(network(2), address, "resnet101").state_dict()
    fresh = network(2).state_dict()
    for name, value in found.items():
        expected = published[name.removeprefix("extractor.")] if name.startswith("extractor.") else fresh[name]
        assert torch.equal(value, expected), name
    assert list((tmp_path / "torch/hub/checkpoints").iterdir())
    with pytest.raises(ValueError, match="resnet101 checkpoint"):
        initialise(TissueClassifier(ResNet(width=1 / 16, blocks=[2, 1, 1, 1], output_stride=16), 3), address, "resnet101")
