"""What becomes of runs that are killed at any moment: they go on, and end as one that never was.

    python benchmarks/kills.py

The whole pipeline on drawn tissue, from its preparation to the report, and inference over a folder, are ended by SIGKILL,
SIGTERM or SIGINT at drawn moments and started again, several times in the same folder, until they are done; then every
result must equal that of a run which nobody disturbed, and nothing else may lie in the folder. Then two runs start in one
folder at once, and an MLflow server is killed midway. Most runs are forked from this process, which saves the seconds that
importing takes; one in ten is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import print_table, record
from runs import Ended, Runs
from tqdm import tqdm

__all__ = ["run", "server_killed", "two_at_once"]

SIGNALS = {"SIGKILL": -9, "SIGTERM": 143, "SIGINT": 130}  # and the exit code that is asked for


def run(runs: Runs, kills: int, per_folder: int = 4, progress: bool = True) -> tuple[dict[str, Counter], list[str]]:
    """Kill, continue, and compare; outcomes by signal, and the faults.

    Args:
        runs: the runs.
        kills: number of kills.
        per_folder: kills of one run before it is left alone.
        progress: whether to show a progress bar.
    """
    table: dict[str, Counter] = {name: Counter() for name in SIGNALS}
    faults: list[str] = []
    bar = tqdm(total=kills, desc="kills", disable=not progress)
    done = 0
    while done < kills:
        name = f"run{done}"
        signals = []
        for _ in range(min(per_folder, kills - done)):
            kind = list(SIGNALS)[done % 3]
            forked = done % 10 != 9
            # the moment is drawn from the whole run for the first, and from what may be left of it for the others
            after = float(runs.rng.uniform(0, runs.seconds)) * (1 if not signals else 0.5)
            ended = runs.wait(runs.start(name, forked), after, getattr(signal, kind))
            done += 1
            bar.update()
            signals.append(kind)
            # Python gives signals back before it takes itself down, seconds after the last line
            if ended.code == 0 or (kind != "SIGKILL" and ended.code < 0 and "to segment images" in ended.text):
                table[kind]["was done before"] += 1
                break
            table[kind]["ended"] += 1
            if (fault := _how_it_ended(kind, ended)) is not None:
                table[kind]["fault"] += 1
                faults.append(f"{name}, {kind} after {after:.1f} s: {fault}")
        ended = runs.wait(runs.start(name))
        if (fault := _what_it_left(runs, name, ended)) is not None:
            table[signals[-1]]["fault"] += 1
            faults.append(f"{name}, after {', '.join(signals)}: {fault}")
        else:
            table[signals[-1]]["folder whole"] += 1
            shutil.rmtree(runs.folder / name)
    bar.close()
    return table, faults


def two_at_once(runs: Runs) -> list[str]:
    """Two runs in one folder: one does the work, the other ends with one line that names it."""
    started = [runs.start("twice"), runs.start("twice")]
    ended = [runs.wait(s) for s in started]
    refused = [e for e in ended if e.code]
    faults = []
    told = len(refused) == 1 and refused[0].text.count("in use by") == 1 and "Traceback" not in refused[0].text
    if not told:
        faults.append(f"two at once: ended with {[e.code for e in ended]}: {refused[0].text[-400:] if refused else ''}")
    fault = _what_it_left(runs, "twice", Ended(min(e.code for e in ended), ""))
    return faults if fault is None else [*faults, f"two at once: {fault}"]


def server_killed(runs: Runs) -> list[str]:
    """An MLflow server that is killed while a run writes to it: the run ends as if there had been none."""
    port = 20_000 + os.getpid() % 20_000
    place = runs.folder / "server"
    place.mkdir()
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", "--backend-store-uri",
         f"sqlite:///{place}/store.db", "--default-artifact-root", f"{place}/artifacts"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _until_it_answers(address)
        started = runs.start("served", environment={"MLFLOW_TRACKING_URI": address})
        time.sleep(runs.seconds / 2)
        os.killpg(server.pid, signal.SIGKILL)
        ended = runs.wait(started)
    finally:
        _end(server)
    fault = _what_it_left(runs, "served", ended)
    warnings = [line for line in ended.text.splitlines() if "WARNING" in line and "mlflow" in line.lower()]
    if fault is None and len(warnings) != 1:
        fault = f"{len(warnings)} warnings about MLflow, expected one: {warnings[:3]}"
    return [] if fault is None else [f"server killed: {fault}"]


def _end(server: subprocess.Popen) -> None:
    """End a server that may have ended."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _until_it_answers(address: str) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/health", timeout=2)
            return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"{address}: the server does not answer")


def _how_it_ended(kind: str, ended: Ended) -> str | None:
    wanted = SIGNALS[kind]
    if ended.code != wanted:
        return f"exit code {ended.code}, expected {wanted}: {ended.text[-300:]}"
    if "Traceback" in ended.text:
        return f"a traceback: {ended.text[-300:]}"
    return None


def _what_it_left(runs: Runs, name: str, ended: Ended) -> str | None:
    if ended.code:
        return f"cannot go on, exit code {ended.code}: {ended.text[-600:]}"
    found = runs.results(name)
    if found != runs.expected:
        other = sorted(k for k in found.keys() | runs.expected.keys() if found.get(k) != runs.expected.get(k))
        return f"{len(other)} results differ from the undisturbed run's: {other[:3]}"
    litter = runs.litter(name)
    return f"litter: {litter[:5]}" if litter else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="number of kills (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments (default: 0)")
    parser.add_argument("--out", default="benchmarks/results/kills.json", help="record")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # forked processes do not take threads with them
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    try:
        runs = Runs(folder, given.seed)
        print(f"the undisturbed run took {runs.seconds:.0f} s", file=sys.stderr)
        table, faults = run(runs, given.kills)
        faults += two_at_once(runs)
        faults += server_killed(runs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    columns = ["ended", "was done before", "folder whole", "fault"]
    print_table(["signal", *columns], [[name, *(counts[c] for c in columns)] for name, counts in table.items()])
    for fault in faults:
        print(fault)
    settings = {"kills": given.kills, "seed": given.seed}
    results = {"outcomes": table, "faults": faults, "seconds": runs.seconds, "results": len(runs.expected)}
    record(given.out, "kills", settings, json.loads(json.dumps(results)), torch.device("cpu"))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
