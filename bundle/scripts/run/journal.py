"""What is tracked of a stage, as lines of a file in its folder: it lies there first, and goes to MLflow from there."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["JOURNAL", "Journal", "JournalRun", "read_journal"]

#: File of the journal in a stage's folder.
JOURNAL = "tracking.jsonl"
# what an entry may have
_KINDS = ({"params": dict}, {"metrics": dict, "step": int}, {"file": str}, {"state": str})


@dataclass
class JournalRun:
    """One tracked run: a stage from its first start to its end, however often it was interrupted.

    Args:
        key: what it is known by, in any MLflow store.
        header: ``name``, ``experiment``, ``parent`` and ``time`` of its start in ms since 1970; ``mlflow_run``, the id of
            the MLflow run that it continues, if that is older than the journal.
        entries: what was tracked, in order: parameters, metrics with step and time, files, and states.
    """

    key: str
    header: Mapping[str, Any]
    entries: list[Mapping[str, Any]] = field(default_factory=list)


def read_journal(folder: str | Path) -> list[JournalRun]:
    """The runs in a stage's journal, oldest first. A line that a killed process has left half written does not count."""
    path = Path(folder) / JOURNAL
    runs: list[JournalRun] = []
    if not path.is_file():
        return runs
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if _has(entry, {"run": str, "name": str, "experiment": str, "time": int}):
            runs.append(JournalRun(entry["run"], entry))
        elif runs and any(_has(entry, {**kind, "time": int}) for kind in _KINDS):
            runs[-1].entries.append(entry)
    return runs


def _has(entry: Any, kinds: Mapping[str, type]) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(name), kind) for name, kind in kinds.items())


class Journal:
    """Appends to a stage's journal. Lines are never changed, so that their number says how far a copy has come.

    Args:
        folder: folder of the stage.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / JOURNAL

    def begin(self, **header: Any) -> JournalRun:
        """Start a run."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        header = {"run": uuid.uuid4().hex, **header, "time": _now()}
        self._append(header)
        return JournalRun(header["run"], header)

    def add(self, kind: str, content: Any, **more: Any) -> None:
        """Add ``{kind: content, **more, "time": now}`` to the latest run."""
        self._append({kind: content, **more, "time": _now()})

    def _append(self, entry: Mapping[str, Any]) -> None:
        with self.path.open("a+b") as file:
            # in one write; what an interrupted one has left stays a line of its own
            torn = file.tell() > 0 and file.seek(-1, 2) >= 0 and file.read(1) != b"\n"
            file.write(b"\n" * torn + json.dumps(entry).encode() + b"\n")


def _now() -> int:
    return int(time.time() * 1000)
