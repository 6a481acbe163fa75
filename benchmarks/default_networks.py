"""Speed of training steps of the default networks on a CPU: PyTorch's depthwise gradients against this bundle's.

python benchmarks/default_networks.py --out benchmarks/results/default_networks.json
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from unittest.mock import patch

import torch
from harness import alternate, print_table, record
from scripts.core.precision import mixed_precision
from scripts.networks.classifier import TissueClassifier
from scripts.networks.efficientnet import EfficientNetLite0
from scripts.networks.segmenter import DeepLabV3Plus
from torch.nn import functional

CLASSES = 4
#: Name to (our gradients, bfloat16).
CONTESTANTS = {
    "PyTorch, float32": (False, False), "this bundle, float32": (True, False),
    "PyTorch, bfloat16": (False, True), "this bundle, bfloat16": (True, True),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=112, help="side of a patch in px (default 112)")
    parser.add_argument("--batch-size", type=int, default=16, help="patches per step (default 16)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant (default 5)")
    parser.add_argument("--out", default="benchmarks/results/default_networks.json", help="JSON record")
    options = parser.parse_args()
    torch.manual_seed(0)
    image = torch.rand(options.batch_size, 3, options.size, options.size).contiguous(memory_format=torch.channels_last)
    networks = {
        "classifier": TissueClassifier(EfficientNetLite0(pretrained=False), CLASSES),
        "segmenter": DeepLabV3Plus(
            EfficientNetLite0(pretrained=False, last_stage="stage7"), CLASSES, "stage7", "stage2", 128, rates=(1, 2, 4)
        ),
    }
    rows, results = [], {}
    for name, network in networks.items():
        network = network.train().to(memory_format=torch.channels_last)
        steps = {label: step(network, image, *settings) for label, settings in CONTESTANTS.items()}
        seconds = alternate(steps, options.rounds, torch.device("cpu"), warm_up=list(steps))
        rates = {label: options.batch_size / statistics.median(values) for label, values in seconds.items()}
        results[name] = {"seconds": seconds, "patches_per_second": rates}
        plain = rates["PyTorch, float32"]
        rows.append([f"training step, {name}", *(f"{rate:.1f} ({rate / plain:.2f}x)" for rate in rates.values())])
    print_table(["patches per second", *CONTESTANTS], rows)
    record(options.out, "default_networks", vars(options), results, torch.device("cpu"))


def step(network: torch.nn.Module, image: torch.Tensor, ours: bool, amp: bool) -> Callable[[], float]:
    """Forward and backward pass of a mean square, which costs no more than they do."""

    def run() -> float:
        with ExitStack() as stack:
            if not ours:
                for module in ("depthwise", "efficientnet"):
                    stack.enter_context(patch(f"scripts.{module}.depthwise_conv2d", plain_depthwise))
            with mixed_precision(image.device, amp):
                output = network(image)
            value = output.float().square().mean()
            value.backward()
        return value.item()

    return run


def plain_depthwise(
    input: torch.Tensor,
    weight: torch.Tensor,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> torch.Tensor:
    """What the bundle's function replaces."""
    return functional.conv2d(input, weight, None, stride, padding, dilation, input.shape[1])


if __name__ == "__main__":
    main()
