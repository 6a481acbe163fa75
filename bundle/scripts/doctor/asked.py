"""What a person names for the doctor to look at: weights, data, a tracking server."""

from __future__ import annotations

import os
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from ..core.errors import message
from ..core.facts import DATALIST_NAME, load_facts
from ..data.datalist import SECTIONS, read_datalist
from ..inference.inputs import inference_inputs
from ..run.mirror import without_passwords
from ..run.tracking_store import store_file
from ..weights.description import FILES
from ..weights.files import load_weights
from .finding import DIFFERS, MISSING, OK, Finding

__all__ = ["data", "tracking", "weights"]

_PATIENCE = 5.0  # s that a server may take to answer


def weights(model_dir: str | Path) -> list[Finding]:
    """A line for each network: its weights are read whole, and compared with their description."""
    return [
        _asked(f"weights of the {kind}", partial(_weights, Path(model_dir) / name, kind)) for kind, name in FILES.items()
    ]


def data(dataset_dir: str | Path) -> Finding:
    """A line for a prepared dataset, all of whose files must be there, or for images to segment."""
    root = Path(dataset_dir)
    look = _prepared if (root / DATALIST_NAME).is_file() else _images
    return _asked("dataset_dir", partial(look, root))


def tracking(uri: str) -> Finding:
    """A line for the store of MLflow's runs: a server must answer, a SQLite file must be sound or possible."""
    return _asked("tracking_uri", partial(_store, uri))


def _asked(what: str, look: Callable[[], str]) -> Finding:
    """What a look at a thing says; of an error, its own message says what to do."""
    try:
        return Finding(what, OK, look(), asked=True)
    except (OSError, ValueError) as error:
        state = MISSING if isinstance(error, FileNotFoundError) else DIFFERS
        return Finding(what, state, message(error) or str(error), asked=True)


def _weights(path: Path, kind: str) -> str:
    of = load_weights(path, kind).description
    size = "µm/px not known" if of.facts.mpp is None else f"{of.facts.mpp:g} µm/px"
    return f"as described: recipe {of.recipe}, classes {', '.join(of.facts.classes)}, {size}, SHA-256 {of.sha256[:12]}"


def _prepared(root: Path) -> str:
    facts = load_facts(root)
    entries = {section: read_datalist(root, section, ("image",)) for section in SECTIONS}
    files = [e[key] for found in entries.values() for e in found for key in ("image", "mask") if e.get(key)]
    gone = [file for file in files if not Path(file).is_file()]
    if gone:
        raise FileNotFoundError(
            f"{root / DATALIST_NAME}: {len(gone)} of its {len(files)} files are not there, such as {gone[0]}; copy them "
            "back, or prepare the dataset anew"
        )
    counts = ", ".join(f"{len(found)} {section}" for section, found in entries.items())
    classes = ", ".join(facts.classes)
    return f"{facts.name}: classes {classes}; {counts}; all {len(files)} files are there (check.yaml reads them)"


def _images(root: Path) -> str:
    found = inference_inputs(root, root / ".nowhere")
    if found.faults:
        raise ValueError(f"{root}: {len(found.faults)} faults in the list of images, such as {found.faults[0]}")
    return f"{len(found.entries)} images to segment (no {DATALIST_NAME}: not to train on)"


def _store(uri: str) -> str:
    if uri.startswith(("http://", "https://")):
        return _server(uri)
    path = store_file(uri)
    if path is None:
        raise ValueError(
            f"found {without_passwords(uri)}, expected http://HOST:PORT or sqlite:///FILE; others are not looked at"
        )
    if not path.exists():
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise FileNotFoundError(
                f"{path}: no such file, and {path.parent} is no folder that can be written; make it first"
            )
        return f"{path} is not there yet, and can be made"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as store:
            runs = store.execute("SELECT count(*) FROM runs").fetchone()[0]
    except sqlite3.Error as error:
        raise ValueError(f"{path}: no store of MLflow ({error}); name another file") from error
    if not os.access(path, os.W_OK):
        raise ValueError(f"{path}: cannot be written; name another file, or ask its owner for the right to")
    return f"{path}: {runs} runs"


def _server(uri: str) -> str:
    """What an MLflow server says of its health. Passwords stay here: they are neither sent nor shown."""
    address = re.sub(r"(?<=//)[^/@]*@", "", uri).rstrip("/") + "/health"
    try:
        with urllib.request.urlopen(address, timeout=_PATIENCE) as answer:
            return f"{address} answers {answer.status}"
    except urllib.error.HTTPError as error:
        raise ValueError(
            f"{address}: answers {error.code} ({error.reason}); is it the address of an MLflow server?"
        ) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise FileNotFoundError(
            f"{address}: no answer ({reason}); start the server, or go without: runs are kept, track.yaml logs them later"
        ) from error
