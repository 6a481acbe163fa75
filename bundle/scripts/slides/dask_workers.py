"""Workers of Dask: those of a scheduler that is there, or processes of its own on this machine."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

from ..core.paths import BUNDLE_ROOT

__all__ = ["dask_client", "require_dask"]

logger = logging.getLogger(__name__)

_LOCAL = {
    "distributed.scheduler.allowed-failures": 0,  # a worker's death is told here at once: starts are counted on disk
    # else a worker that takes longer to start again is closed, and none takes its place
    "distributed.deploy.lost-worker-timeout": "1 day",
    # a slide needs what it needs: to hold others back, or to spill what is told of them, would not make it less
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}


def require_dask() -> None:
    """Say how to install Dask where it is not.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        import cloudpickle  # noqa: F401
        import distributed  # noqa: F401
    except ImportError as error:
        raise ModuleNotFoundError(
            f"engine dask: {error.name} is not installed; pip install '.[cluster]', or work without (--shard i/n)"
        ) from error


@contextmanager
def dask_client(workers: int, scheduler: str | None, patience: float) -> Iterator[Any]:
    """A client whose tasks fail where there has been no worker for a while, and do not wait for ever.

    Args:
        workers: processes on this machine; not used with ``scheduler``.
        scheduler: address of a scheduler, or the file that it writes.
        patience: s that tasks wait where there is no worker.

    Raises:
        OSError: no scheduler, or no worker in time.
        ValueError: no such number of workers.
    """
    import dask
    from distributed import Client

    if scheduler is not None:
        place = {"scheduler_file": scheduler} if os.path.isfile(scheduler) else {"address": scheduler}
        try:
            client = Client(**place, timeout=30)
        except (OSError, ValueError) as error:
            raise OSError(f"scheduler: nothing answers at {scheduler} ({error}); is it running?") from error
        with client:
            client.run_on_scheduler(_lose_patience(), patience)
            _wait_for_worker(client, f"at {scheduler}", patience)
            yield client
        return
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers: found {workers!r}, expected a whole number of at least 1")
    gpus = torch.cuda.device_count()
    settings = {**_LOCAL, "distributed.scheduler.no-workers-timeout": patience, **_method(gpus)}
    with dask.config.set(settings), _local_cluster(workers, gpus) as cluster, Client(cluster) as client:
        _wait_for_worker(client, "on this machine", patience)
        yield client


def _method(gpus: int) -> dict[str, str]:
    """How workers start: as forks of a process that has imported everything, in a moment; a GPU's driver bears no fork."""
    name = "distributed.worker.multiprocessing-method"
    return {name: "spawn" if gpus or "forkserver" not in multiprocessing.get_all_start_methods() else "forkserver"}


def _local_cluster(workers: int, gpus: int) -> Any:
    """Processes of one thread each; where there are several GPUs, each sees one of them."""
    from distributed import Nanny, Scheduler, SpecCluster
    from distributed.utils import get_mp_context

    context = get_mp_context()
    if context.get_start_method() == "forkserver":
        from multiprocessing import forkserver

        context.set_forkserver_preload(["scripts.slides.cluster"])
        with _on_python_path(BUNDLE_ROOT):
            forkserver.ensure_running()
    options = {"host": "127.0.0.1", "nthreads": 1, "dashboard": False, "silence_logs": logging.CRITICAL}
    specs = {}
    for number in range(workers):
        env = {"CUDA_VISIBLE_DEVICES": str(number % gpus)} if gpus > 1 else {}
        specs[number] = {"cls": Nanny, "options": {**options, "env": env, "memory_limit": 1 / workers}}
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard": False}}
    cluster = SpecCluster(workers=specs, scheduler=scheduler, silence_logs=logging.CRITICAL, name="tissue")
    _keep_up(cluster)
    return cluster


def _keep_up(cluster: Any) -> None:
    """Let another worker take the place of each whose nanny has ended, as it does when its process dies while it starts."""
    from distributed.core import Status
    from tornado.ioloop import PeriodicCallback

    async def replace() -> None:
        if cluster.status != Status.running:
            again.stop()
            return
        for number, nanny in list(cluster.workers.items()):
            if nanny.status in (Status.closed, Status.failed):
                del cluster.workers[number]
        with suppress(Exception):  # one that does not start is tried again, until there was none for too long
            await cluster._correct_state()

    again = PeriodicCallback(replace, 2000)
    cluster.loop.add_callback(again.start)


@contextmanager
def _on_python_path(folder: str) -> Iterator[None]:
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _lose_patience() -> Callable[..., None]:
    """What is run on the scheduler; sent as code, as it does not know the bundle. Its own configuration comes first."""

    def set_timeout(patience: float, dask_scheduler: Any = None) -> None:
        if dask_scheduler.no_workers_timeout is None:
            dask_scheduler.no_workers_timeout = patience

    return set_timeout


def _wait_for_worker(client: Any, place: str, patience: float) -> None:
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError as error:
        raise OSError(f"engine dask: no worker {place} within {patience:g} s") from error
    crowded = [w for w in client.scheduler_info(n_workers=-1)["workers"].values() if w["nthreads"] > 1]
    if crowded:
        logger.warning(
            "%d Dask workers have more than one thread, of which all but one wait: start them with --nthreads 1",
            len(crowded),
        )
