"""One training in several processes, as torchrun starts them: who is who, and what they tell each other."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from ignite import distributed as idist

__all__ = [
    "brought_together",
    "from_main",
    "gathered",
    "is_main",
    "join_processes",
    "process_count",
    "process_device",
    "process_rank",
    "shared_out",
    "wait_for_all",
]

_Item = TypeVar("_Item")


def process_count() -> int:
    """Number of the processes, as the environment says (``WORLD_SIZE``); 1 where nothing does."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def process_rank() -> int:
    """Number of this process among them (``RANK``), from 0."""
    return int(os.environ.get("RANK") or 0)


def is_main() -> bool:
    """Whether this process is the one that writes."""
    return process_rank() == 0


def process_device() -> torch.device:
    """The GPU of this process (``LOCAL_RANK``), or the CPU where there is none."""
    local = int(os.environ.get("LOCAL_RANK") or 0)
    return torch.device(f"cuda:{local}" if torch.cuda.is_available() else "cpu")


def join_processes(timeout: float = 600.0) -> None:
    """Become one of several processes, where there are several; NCCL joins them on GPUs, Gloo on CPUs.

    Args:
        timeout: seconds after which a process gives up to wait for the others.
    """
    if process_count() == 1 or dist.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(process_device())
    idist.initialize("nccl" if torch.cuda.is_available() else "gloo", timeout=timedelta(seconds=timeout))
    atexit.register(idist.finalize)
    if not is_main():
        logging.disable(logging.INFO)  # what the first one says is said


def wait_for_all() -> None:
    """Go on when every process is here."""
    if dist.is_initialized():
        dist.barrier()


def gathered(value: _Item) -> list[_Item]:
    """What each process has, in their order; every one calls this."""
    if not dist.is_initialized():
        return [value]
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


def from_main(value: _Item) -> _Item:
    """What the first process has; every one calls this."""
    if not dist.is_initialized():
        return value
    found = [value]
    dist.broadcast_object_list(found, src=0)
    return found[0]


def shared_out(items: Sequence[_Item], whole_if_few: bool = False) -> list[_Item]:
    """The part of this process: every n-th of the items, each in one part.

    Args:
        items: the same in every process.
        whole_if_few: where there are fewer items than processes, all have all, so that none has nothing; figures that count
            every process's items are then the same, as all items count as often.
    """
    count = process_count()
    return list(items) if whole_if_few and len(items) < count else list(items[process_rank() :: count])


def brought_together(part: Sequence[_Item]) -> list[_Item]:
    """What all processes have made of their parts, in the order of the items that were shared out."""
    parts = gathered(list(part))
    return [parts[k % len(parts)][k // len(parts)] for k in range(sum(map(len, parts)))]
