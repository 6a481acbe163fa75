"""A training in several processes: each sees its share of every epoch's patches, and all have the same weights."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import RandomSampler, Sampler

from ..core.processes import process_count, process_rank

__all__ = ["SharedOrder", "draw", "in_all_processes", "share_buffers"]


class SharedOrder(Sampler[int]):
    """Random order of a dataset, in each epoch another, of which this process has every n-th.

    All processes have equally many; those that are left over wait for another epoch.

    Args:
        count: items of the dataset.
        size: items of an epoch, of all processes together.

    Raises:
        ValueError: fewer items than processes.
    """

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.rank, self.processes = process_rank(), process_count()
        self.length = size // self.processes
        self.seed = 0
        if not self.length:
            raise ValueError(
                f"found {size} patches in an epoch for {self.processes} processes, expected one for each or more"
            )

    def set_seed(self, seed: int) -> None:
        """Draw the next order by a seed, which is that of all processes."""
        self.seed = seed

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(self.seed)).tolist()
        return iter(order[self.rank : self.length * self.processes : self.processes])


def draw(dataset: Sized, size: int | None = None) -> Sampler[int]:
    """Random order of a dataset for a data loader, in each epoch another; with ``size``, at most so many items of it. Of
    several processes each has its share."""
    count = len(dataset) if size is None else min(len(dataset), int(size))
    if process_count() > 1:
        return SharedOrder(len(dataset), count)
    return RandomSampler(dataset, num_samples=count)


def in_all_processes(network: nn.Module) -> nn.Module:
    """The network as it trains: where there are several processes, with the mean of their gradients."""
    if process_count() == 1:
        return network
    device = next(network.parameters()).device
    return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)


def share_buffers(*networks: nn.Module) -> None:
    """Give all processes the buffers of the first one's networks, such as the statistics of batch normalisation, which
    each takes of its own batches: what is validated is then what is kept."""
    if process_count() > 1:
        for network in networks:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)
