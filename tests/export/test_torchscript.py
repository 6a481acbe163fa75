from __future__ import annotations

import pytest
import torch
from monai.networks.nets import resnet18
from scripts.export.torchscript import read_torchscript, write_torchscript
from scripts.networks import DeepLabV3Plus, EfficientNetLite0, ModuleExtractor
from torch import nn


def test_a_network_that_cannot_be_scripted_is_traced(tmp_path):
    """Layers found by hooks, as those of any network of MONAI."""
    resnet = resnet18(spatial_dims=2, n_input_channels=3, num_classes=2, conv1_t_size=3)
    network = DeepLabV3Plus(
        ModuleExtractor(resnet, ["layer1", "layer2"]), 2, "layer2", "layer1", channels=8, rates=(1, 2)
    ).eval()
    how = write_torchscript(network, tmp_path / "a.ts", torch.rand(2, 3, 64, 64))
    assert how == {"made_by": "tracing"}
    image = torch.rand(3, 3, 47, 90)
    with torch.inference_mode():
        torch.testing.assert_close(read_torchscript(tmp_path / "a.ts")(image), network(image), rtol=0, atol=1e-5)


def test_a_scripted_network_takes_any_size(tmp_path):
    network = EfficientNetLite0(pretrained=False, last_stage="stage3").eval()
    network = nn.Sequential(DeepLabV3Plus(network, 3, "stage3", "stage2", channels=8, rates=(1, 2))).eval()
    assert write_torchscript(network, tmp_path / "a.ts", torch.rand(1, 3, 32, 32)) == {"made_by": "scripting"}
    for size in ((32, 32), (33, 45)):
        image = torch.rand(2, 3, *size)
        with torch.inference_mode():
            torch.testing.assert_close(read_torchscript(tmp_path / "a.ts")(image), network(image), rtol=0, atol=1e-5)


class _Unknown(nn.Module):
    def forward(self, image):
        return image * len({str(image): "no\nsecond line"}[image])


def test_what_can_be_neither_is_told_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="_Unknown can be neither scripted nor traced: ") as caught:
        write_torchscript(_Unknown(), tmp_path / "a.ts", torch.rand(1, 3, 8, 8))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    (tmp_path / "b.ts").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match=r"b\.ts: not readable as TorchScript: "):
        read_torchscript(tmp_path / "b.ts")
