"""Speed of training steps and of gated inference: this bundle's against the plain float32 loop in contiguous layout.

The networks are the paper's, with weights drawn by seed. Ours: channels-last, and mixed precision where the device
multiplies bfloat16 in hardware. On processors that is the default in inference only; a column of its own shows what
training gains there with ``--amp True``. A large matrix product in the same run says what the device can do, and the last
column which share of it our default reaches, counting the multiplications of convolutions and matrix products alone.

    python benchmarks/networks.py --out benchmarks/results/networks.json
"""

from __future__ import annotations

import argparse
import copy
import statistics
from collections.abc import Callable, Sequence

import torch
from harness import alternate, print_table, record
from scripts.core.precision import mixed_precision, prefers_bfloat16
from scripts.networks.classifier import TissueClassifier
from scripts.networks.gate import GatedSegmenter, gate
from scripts.networks.resnet import ResNet
from scripts.networks.resnet38 import ResNet38
from scripts.networks.segmenter import DeepLabV3Plus
from scripts.training.supervision import MultiLayerPseudoSupervisionLoss
from torch.utils.flop_counter import FlopCounterMode

OURS, MIXED = "this bundle", "this bundle, --amp True"
CLASSES = 4
PATCHES = {"LUAD-HistoSeg": 16_678, "BCSS-WSSS": 23_422}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="side of a patch in px (default 224)")
    parser.add_argument("--batch-size", type=int, default=16, help="patches per step (default 16)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant (default 3)")
    parser.add_argument("--width", type=float, default=1.0, help="factor of the backbones' channels (default 1)")
    parser.add_argument("--only", choices=("classifier", "segmenter", "inference"), nargs="*", help="default: all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--product", type=int, default=2048, help="side of the matrices of the peak (default 2048; GPU: x4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="benchmarks/results/networks.json", help="JSON record")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    torch.manual_seed(options.seed)
    n = options.batch_size
    image = torch.rand(n, 3, options.size, options.size, device=device)
    label = (torch.rand(n, CLASSES, device=device) > 0.5).float()
    masks = torch.randint(0, CLASSES + 1, (n, 3, options.size, options.size), device=device)
    classifier = TissueClassifier(ResNet38(options.width), CLASSES).to(device)
    segmenter = DeepLabV3Plus(
        ResNet(multi_grid=(1, 2, 4), width=options.width), CLASSES, "layer4", "layer1", separable=False, align_corners=True
    ).to(device)
    loss = MultiLayerPseudoSupervisionLoss()
    multilabel = torch.nn.MultiLabelSoftMarginLoss()
    tasks = {
        "classifier": lambda: training(classifier, lambda y: multilabel(y, label), image, device),
        "segmenter": lambda: training(segmenter, lambda y: loss(y, masks), image, device),
        "inference": lambda: inference(classifier, segmenter, image, device),
    }
    peaks = {dtype: peak(device, dtype, options.product) for dtype in (torch.float32, torch.bfloat16)}
    rows, results = [], {}
    for name in options.only or tasks:
        contestants, dtype = tasks[name]()
        with FlopCounterMode(display=False) as counter:
            contestants["plain"]()
        seconds = alternate(contestants, options.rounds, device, warm_up=list(contestants)[1:])
        medians = {c: statistics.median(s) for c, s in seconds.items()}
        share = counter.get_total_flops() / medians[OURS] / peaks[dtype]
        results[name] = {
            "seconds": seconds, "ratio": {c: medians["plain"] / m for c, m in medians.items()}, "share_of_peak": share,
            "patches_per_second": n / medians[OURS],
        }  # fmt: skip
        rows.append([
            "inference with gate" if name == "inference" else f"training step, {name}",
            *(f"{n / m:.2f}" for m in (medians["plain"], medians[OURS])),
            *(f"{medians['plain'] / medians[c]:.2f}x" if c in medians else "" for c in (OURS, MIXED)),
            f"{100 * share:.0f} % of {str(dtype).removeprefix('torch.')}",
        ])  # fmt: skip
    print_table(["patches per second", "plain", OURS, "ratio", "ratio with amp", "share of peak"], rows)
    print("matrix product: " + ", ".join(f"{dtype} {rate / 1e12:.2f} TFLOP/s" for dtype, rate in peaks.items()))
    if device.type == "cuda":
        print(f"peak memory {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB")
    for data, patches in PATCHES.items():
        epochs = [f"{k} {patches / r['patches_per_second'] / 60:.1f} min" for k, r in results.items()]
        print(f"one pass over {data} ({patches} patches), projected: " + ", ".join(epochs))
    record(
        options.out,
        "networks",
        vars(options),
        {"tasks": results, "peak_flops": {str(k): v for k, v in peaks.items()}},
        device,
    )


def training(
    network: torch.nn.Module, loss: Callable, image: torch.Tensor, device: torch.device
) -> tuple[dict[str, Callable], torch.dtype]:
    """One optimiser step, plain and as the configs train, and the precision of the latter."""

    def step(net: torch.nn.Module, batch: torch.Tensor, amp: bool) -> Callable[[], float]:
        net.train()
        optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 1e-3, momentum=0.9)

        def run() -> float:
            with mixed_precision(device, amp):
                output = net(batch)
            value = loss(output.float())
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            return value.item()

        return run

    ours = copy.deepcopy(network).to(memory_format=torch.channels_last)
    batch = image.contiguous(memory_format=torch.channels_last)
    if device.type == "cuda":
        return {"plain": step(network, image, False), OURS: step(ours, batch, True)}, torch.bfloat16
    contestants = {"plain": step(network, image, False), OURS: step(ours, batch, False)}
    if prefers_bfloat16(device):
        contestants[MIXED] = step(ours, batch, True)
    return contestants, torch.float32


def inference(
    classifier: torch.nn.Module, segmenter: torch.nn.Module, image: torch.Tensor, device: torch.device
) -> tuple[dict[str, Callable], torch.dtype]:
    """Gated label maps of a batch, plain and as the configs make them, and the precision of the latter."""

    @torch.no_grad()
    def plain() -> torch.Tensor:
        probability = torch.softmax(segmenter.eval()(image), dim=1)
        return gate(probability, torch.sigmoid(classifier.eval()(image))).argmax(dim=1)

    nets = [copy.deepcopy(net).to(memory_format=torch.channels_last).eval() for net in (segmenter, classifier)]
    amp = prefers_bfloat16(device)
    network = GatedSegmenter(*nets, amp=amp)
    batch = image.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def ours() -> torch.Tensor:
        return network(batch).argmax(dim=1)

    return {"plain": plain, OURS: ours}, torch.bfloat16 if amp else torch.float32


def peak(device: torch.device, dtype: torch.dtype, side: int = 2048) -> float:
    """FLOP/s of a large matrix product, whose sides are four times as long on a GPU."""
    side *= 4 if device.type == "cuda" else 1
    a, b = (torch.rand(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = alternate({"product": lambda: a @ b}, 5, device, warm_up=["product"])["product"]
    return 2 * side**3 / statistics.median(seconds)


if __name__ == "__main__":
    main()
