from __future__ import annotations

import sys
from importlib import metadata

import pytest
from scripts.doctor.installed import capability, packages


def test_what_is_installed_as_tested_is_ok():
    found = capability("images", {name: metadata.version(name) for name in ("numpy", "pillow", "scikit-image")})
    assert (found.state, found.found, found.advice) == ("ok", "3 packages as tested", "")


def test_another_version_than_tested_is_said():
    found = capability("images", {"numpy": "0.1", "pillow": metadata.version("pillow")})
    assert found.state == "differs" and found.found == f"numpy {metadata.version('numpy')}, tested with 0.1"
    assert found.advice == "pip install 'numpy==0.1', if something fails"


def test_what_is_not_there_is_named_with_what_brings_it():
    found = capability("slides", {"no-such-package": "1.2", "other-package": "", "numpy": "0.1"})
    assert found.state == "missing" and found.found.startswith("no no-such-package, no other-package, numpy ")
    assert found.advice == "pip install 'no-such-package==1.2' other-package"


def test_a_package_that_cannot_be_imported_counts_as_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    found = capability("images", {"pillow": metadata.version("pillow")})
    assert found.state == "missing" and found.found.startswith("pillow cannot be imported (ModuleNotFoundError: ")


def test_every_capability_has_a_line():
    whats = [f.what for f in packages()]
    assert whats == ["Python", "training and images", "whole slides", "cohorts on Dask", "ONNX export"]


@pytest.mark.parametrize(
    ("version", "state"), [("3.9.1", "differs"), ("3.10.0", "ok"), ("3.12.4", "ok"), ("3.13.0", "differs")]
)
def test_python_has_bounds(monkeypatch, version, state):
    monkeypatch.setattr("platform.python_version", lambda: version)
    monkeypatch.setattr("platform.python_version_tuple", lambda: tuple(version.split(".")))
    python = packages()[0]
    assert (python.state, python.found) == (state, version) and bool(python.advice) == (state != "ok")
