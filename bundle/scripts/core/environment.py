"""What a run was made with: seed, versions, machine, commit."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from .paths import BUNDLE_ROOT

__all__ = ["bundle_version", "environment", "git_commit"]

_PACKAGES = ("monai", "torch", "pytorch-ignite", "mlflow", "numpy", "itk", "nibabel", "pillow", "scikit-image")


def environment(seed: int | None = None) -> dict[str, Any]:
    """Seed, package versions, machine with its GPU if there is one, and git commit (``None`` outside a checkout)."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "seed": seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": versions,
        "git_commit": git_commit(),
    }


@cache
def bundle_version() -> str:
    """Version of the bundle, as its metadata have it."""
    return json.loads((Path(BUNDLE_ROOT) / "configs" / "metadata.json").read_text(encoding="utf-8"))["version"]


def git_commit() -> str | None:
    """Commit of the bundle's checkout, with ``-dirty`` where files differ from it."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("-dirty" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
