"""One damaged input after the other, each read in a process of its own that may neither hang nor take all memory."""

from __future__ import annotations

import faulthandler
import os
import pickle
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FAULTS", "REFUSED", "Case", "damaged_bytes", "nonsense", "outcome", "replaced"]

#: What is asked for: the right value, or a refusal that says so. A change that nothing in the file can tell is neither.
RIGHT, REFUSED, UNNOTICEABLE = "right", "refused", "cannot be noticed"
#: What must not happen.
FAULTS = ("silent", "refused wrongly", "unclear", "traceback", "run-away", "litter")

_KEPT = (".file_states.json", ".archive.sha256")  # what a preparation keeps
_SECONDS = 30
_MEMORY = 3 * 2**30
_MESSAGE = 1500  # characters


@dataclass(frozen=True)
class Case:
    """A damaged input.

    Args:
        kind: row of the table.
        damage: what was done.
        write: writes the input into an empty folder, and returns the file to read.
        read: reads it; what it returns is compared.
        truth: what it must return if it returns; ``None`` for an input that must be refused.
        noticeable: whether another value than the truth is a fault: false for formats without a check sum.
        name: what the message must name; the file's name by default.
        sound: whether the input is as it should be, so that refusing it is a fault.
    """

    kind: str
    damage: str
    write: Callable[[Path], Path]
    read: Callable[[Path], Any]
    truth: Any = None
    noticeable: bool = True
    name: str | None = None
    sound: bool = False


def outcome(case: Case) -> tuple[str, str]:
    """What came of reading: one of the outcomes above, and the message or value."""
    folder = Path(tempfile.mkdtemp(prefix="damage-"))
    try:
        path = case.write(folder)
        before = _names(folder)
        result, text = _in_child(case, path)
        left = sorted(_names(folder) - before)
        if result in (REFUSED, RIGHT) and any(Path(n).name.startswith(".") and Path(n).name not in _KEPT for n in left):
            return "litter", f"left {left}"
        return result, text
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def damaged_bytes(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """One of the things that happen to files: cut off, bits flipped, zeros, bytes put in or taken out, halves swapped."""
    data = bytearray(content)
    at = int(rng.integers(len(data)))
    early = int(rng.integers(min(len(data), 400)))  # where headers are
    match int(rng.integers(8)):
        case 0:
            return f"cut to {at} bytes", bytes(data[:at])
        case 1:
            data[at] ^= 1 << int(rng.integers(8))
            return f"bit flipped at {at}", bytes(data)
        case 2 | 3:
            data[early] ^= 1 << int(rng.integers(8))
            return f"bit flipped at {early}", bytes(data)
        case 4:
            data[early] = int(rng.integers(256))
            return f"byte changed at {early}", bytes(data)
        case 5:
            data[at : at + 64] = bytes(len(data[at : at + 64]))
            return f"zeros at {at}", bytes(data)
        case 6:
            return f"byte taken out at {early}", bytes(data[:early] + data[early + 1 :])
        case _:
            return f"swapped at {at}", bytes(data[at:] + data[:at])


def nonsense(rng: np.random.Generator) -> Any:
    """A value that stands where another one should."""
    deep: Any = []
    for _ in range(60):
        deep = [deep]
    values = [
        None, -1, 0, 1, 2.5, 1e308, float("nan"), float("inf"), 10**30, True, "", "x", "no", "a\0b", "../../etc/passwd",
        "/etc/passwd", "$import os", "@facts", "x" * 5000, "ä\udcff", [], {}, [1, "a"], {"a": 1}, [[]], deep,
    ]  # fmt: skip
    return values[int(rng.integers(len(values)))]


def replaced(content: Any, rng: np.random.Generator) -> tuple[str, Any]:
    """JSON content with one node replaced by nonsense, taken out, or twice there."""
    places = list(_places(content))
    path = places[int(rng.integers(len(places)))]
    result = pickle.loads(pickle.dumps(content))
    holder = result
    for key in path[:-1]:
        holder = holder[key]
    where = "/".join(map(str, path))
    if rng.random() < 0.2:
        del holder[path[-1]]
        return f"{where} taken out", result
    value = nonsense(rng)
    holder[path[-1]] = value
    return f"{where} set to {value!r:.40}", result


def _places(content: Any, above: tuple = ()) -> Iterator[tuple]:
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield (*above, key)
        yield from _places(value, (*above, key))


def _in_child(case: Case, path: Path) -> tuple[str, str]:
    """Read in a forked process, so that a crash, an endless loop or a run on memory ends that one alone."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            faulthandler.disable()  # pytest's writes past this to its own stream
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + _MEMORY, size + _MEMORY))
            signal.alarm(_SECONDS)
            os.write(send, pickle.dumps(_read(case, path)))
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if content:
        return pickle.loads(content)
    return "run-away", f"ended by {'signal ' + str(status & 127) if status & 127 else 'exit'}"


def _read(case: Case, path: Path) -> tuple[str, str]:
    try:
        value = case.read(path)
    except MemoryError as error:
        return "run-away", f"MemoryError: {error}"
    except (OSError, ValueError, SystemExit) as error:  # what the command line prints as one message
        text = str(error)
        name = path.name if case.name is None else case.name
        printable = name.encode("utf-8", "replace").decode()
        known = name in text or repr(name)[1:-1] in text or printable in text
        if not known or len(text) > _MESSAGE or "weights_only" in text or "Traceback" in text or text.count("\n") > 6:
            return "unclear", f"{type(error).__name__}: {text:.400}"
        return ("refused wrongly" if case.sound else REFUSED), text[:200]
    except BaseException as error:
        return "traceback", f"{type(error).__name__}: {error!s:.200}"
    if case.truth is not None and _same(value, case.truth):
        return RIGHT, ""
    return ("silent" if case.noticeable else UNNOTICEABLE), f"read as {' '.join(repr(value).split()):.100}"


def _same(value: Any, truth: Any) -> bool:
    if isinstance(truth, np.ndarray):
        return isinstance(value, np.ndarray) and value.shape == truth.shape and np.array_equal(value, truth)
    return bool(value == truth)


def _names(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*")}
