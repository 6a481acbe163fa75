"""Packages that each capability needs: whether they are there, can be imported, and are as tested."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import import_module, metadata
from pathlib import Path

from ..core.paths import BUNDLE_ROOT
from .finding import DIFFERS, MISSING, OK, Finding

__all__ = ["packages"]

_PYTHON = ((3, 10), (3, 12))
# packages whose module has another name
_MODULES = {
    "pytorch-ignite": "ignite",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "openslide-python": "openslide",
}
_EXTRAS = {"slides": "whole slides", "cluster": "cohorts on Dask"}
# of no version in particular
_EXPORT = ("onnx", "onnxscript")


def packages() -> list[Finding]:
    """A line for Python and for each capability; versions are compared with those of ``configs/metadata.json``."""
    tested = json.loads((Path(BUNDLE_ROOT) / "configs" / "metadata.json").read_text(encoding="utf-8"))
    needed = {
        "monai": tested["monai_version"],
        "torch": tested["pytorch_version"],
        "numpy": tested["numpy_version"],
        **tested["required_packages_version"],
    }
    found = [_python(), capability("training and images", needed)]
    found += [capability(words, tested["tested_extras"][extra]) for extra, words in _EXTRAS.items()]
    return [*found, capability("ONNX export", dict.fromkeys(_EXPORT, ""))]


def _python() -> Finding:
    low, high = (".".join(map(str, version)) for version in _PYTHON)
    version = tuple(map(int, platform.python_version_tuple()[:2]))
    fits = _PYTHON[0] <= version <= _PYTHON[1]
    advice = "" if fits else f"make an environment of Python {low} to {high}"
    return Finding("Python", OK if fits else DIFFERS, platform.python_version(), advice)


def capability(what: str, needed: Mapping[str, str]) -> Finding:
    """A line for packages that something needs.

    Args:
        what: what needs them.
        needed: versions that it was tested with, by the names of the packages; ``""``: any.
    """
    missing: dict[str, str] = {}
    others: dict[str, str] = {}
    for name, tested in needed.items():
        try:
            version = metadata.version(name).partition("+")[0]
            import_module(_MODULES.get(name, name.replace("-", "_")))
        except metadata.PackageNotFoundError:
            missing[name] = f"no {name}"
        except Exception as error:  # a library that it is built on may be missing, in any way
            missing[name] = f"{name} cannot be imported ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
        else:
            if tested and version != tested:
                others[name] = f"{name} {version}, tested with {tested}"
    state = MISSING if missing else DIFFERS if others else OK
    words = ", ".join([*missing.values(), *others.values()])
    if state == OK:
        return Finding(what, OK, f"{len(needed)} packages" + (" as tested" if all(needed.values()) else ""))
    wanted = " ".join(f"'{name}=={needed[name]}'" if needed[name] else name for name in missing or others)
    return Finding(what, state, words, f"pip install {wanted}" + ("" if missing else ", if something fails"))
