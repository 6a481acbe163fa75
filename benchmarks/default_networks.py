"""Speed of training steps of the default networks on a CPU: PyTorch's depthwise gradients against this bundle's.

Network, loss, optimiser and batch size are those of ``train_classifier.yaml`` and ``train.yaml``, and a step is what MONAI's
trainer does with them: forward pass, loss, backward pass, optimiser. What the configs do beside it (reading, augmentation,
CutMix, averaged weights and learning from their maps) is left out. Images and labels are drawn by seed: speed does not
depend on them. Before anything is measured, losses and gradients of the contestants are held against each other.

    python benchmarks/default_networks.py --out benchmarks/results/default_networks.json
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import torch
from harness import alternate, print_table, record
from monai.bundle import ConfigParser
from scripts import BUNDLE_ROOT
from torch.nn import functional

CONFIGS = {"classifier": "train_classifier", "segmenter": "train"}
#: Name to (our gradients, bfloat16).
CONTESTANTS = {
    "PyTorch, float32": (False, False), "this bundle, float32": (True, False),
    "PyTorch, bfloat16": (False, True), "this bundle, bfloat16": (True, True),
}  # fmt: skip
#: Relative difference of loss and gradient that rounding explains.
ROUNDING = {"float32": 1e-4, "bfloat16": 0.05}
#: Modules that call the function of this bundle.
CALLERS = ("depthwise", "efficientnet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=112, help="side of a patch in px (default 112)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contestant (default 15)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="benchmarks/results/default_networks.json", help="JSON record")
    options = parser.parse_args()
    rows, results = [], {}
    for name in CONFIGS:
        steps = {label: Step(name, *settings, options.size, options.seed) for label, settings in CONTESTANTS.items()}
        differences = {
            dtype: agree(steps[f"PyTorch, {dtype}"], steps[f"this bundle, {dtype}"], rounding)
            for dtype, rounding in ROUNDING.items()
        }
        seconds = alternate(steps, options.rounds, torch.device("cpu"), warm_up=list(steps))
        batch_size = steps["PyTorch, float32"].batch_size
        rates = {label: batch_size / statistics.median(values) for label, values in seconds.items()}
        results[name] = {
            "batch_size": batch_size, "seconds": seconds, "patches_per_second": rates, "differences": differences,
        }  # fmt: skip
        plain = rates["PyTorch, float32"]
        title = f"training step, {name}, batch {batch_size}"
        rows.append([title, *(f"{rate:.1f} ({rate / plain:.2f}x)" for rate in rates.values())])
    print_table(["patches per second", *CONTESTANTS], rows)
    for name, result in results.items():
        found = [f"{dtype} {d['loss']:.1e}, {d['gradient']:.1e}" for dtype, d in result["differences"].items()]
        print(f"relative differences of loss and gradient between the two, {name}: {'; '.join(found)}")
    record(options.out, "default_networks", vars(options), results, torch.device("cpu"))


class Step:
    """A training step as a config has it; called, it gives the loss that it starts from.

    Args:
        name: key of :data:`CONFIGS`.
        ours: with the gradients of this bundle instead of PyTorch's.
        amp: in bfloat16.
        size: side of a patch in px.
        seed: of new weights, images, labels and dropout.
    """

    def __init__(self, name: str, ours: bool, amp: bool, size: int, seed: int = 0) -> None:
        config = ConfigParser()
        config.read_config(str(Path(BUNDLE_ROOT) / "configs" / f"{CONFIGS[name]}.yaml"))
        config.update({"device": "cpu", "amp": amp, "facts": "$load_facts(@bundle_root + '/configs/luad.yaml')"})
        torch.manual_seed(seed)
        self.ours = ours
        self.network: torch.nn.Module = config.get_parsed_content("network").train()
        self.optimizer: torch.optim.Optimizer = config.get_parsed_content("optimizer")
        # without the teacher's share, which the segmenter's trainer adds to it
        self.loss = config.get_parsed_content("train#trainer#loss_function" if name == "classifier" else "loss")
        self.inferer = config.get_parsed_content("train#inferer")
        self.batch_size: int = config.get_parsed_content("batch_size")
        classes = config.get_parsed_content("facts").num_classes
        self.image = torch.rand(self.batch_size, 3, size, size).contiguous(memory_format=torch.channels_last)
        if name == "classifier":
            self.label = (torch.rand(self.batch_size, classes) > 0.5).float()
        else:  # a mask for each weight; the last value is white
            layers = len(config.get_parsed_content("layer_weights"))
            self.label = torch.randint(0, classes + 1, (self.batch_size, layers, size, size))

    def __call__(self) -> float:
        value = self.backward()
        self.optimizer.step()
        return value

    def backward(self) -> float:
        """All of a step but the optimiser's."""
        with contextlib.nullcontext() if self.ours else plain_gradients():
            self.optimizer.zero_grad(set_to_none=False)  # MONAI's default
            value = self.loss(self.inferer(self.image, self.network), self.label)
            value.backward()
        return value.item()

    def gradient(self) -> torch.Tensor:
        """That of all weights, as one vector."""
        return torch.cat([p.grad.flatten() for p in self.network.parameters() if p.grad is not None])


def agree(theirs: Step, ours: Step, rounding: float) -> dict[str, float]:
    """Relative differences of loss and gradient, from the weights that a first step of ours leaves.

    The first step is there because the factors of the classifier's depthwise smoothing start at zero, where its kernels have
    no gradient.

    Raises:
        RuntimeError: they are larger than ``rounding``.
    """
    ours()
    theirs.network.load_state_dict(ours.network.state_dict())
    losses = []
    for step in (theirs, ours):
        torch.manual_seed(1)  # the same dropout
        losses.append(step.backward())
    expected, found = theirs.gradient(), ours.gradient()
    differences = {
        "loss": abs(losses[1] - losses[0]) / abs(losses[0]),
        "gradient": float((found - expected).norm() / expected.norm()),
    }
    if not max(differences.values()) < rounding:
        raise RuntimeError(f"the contestants compute different things: {differences}, expected less than {rounding}")
    return differences


@contextlib.contextmanager
def plain_gradients() -> Iterator[None]:
    """Every depthwise convolution is PyTorch's own inside, with its gradients."""
    with contextlib.ExitStack() as stack:
        for module in CALLERS:
            stack.enter_context(patch(f"scripts.networks.{module}.depthwise_conv2d", plain_depthwise))
        yield


def plain_depthwise(
    input: torch.Tensor,
    weight: torch.Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> torch.Tensor:
    """What the bundle's function replaces."""
    return functional.conv2d(input, weight, None, stride, padding, dilation, input.shape[1])


if __name__ == "__main__":
    main()
