"""Weights and the bundle as one zip that runs by itself."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..core.atomic import make_folder, write_text
from ..core.paths import BUNDLE_ROOT
from ..core.ranges import shown
from ..weights.description import FILES, description_path, read_description
from ..weights.files import load_weights
from .label_config import label_config
from .load_config import load_config, refuse_own_networks
from .measured import measured
from .model_card import model_card
from .zip_writer import digest, write_zip
from .zoo_metadata import zoo_metadata

__all__ = ["package"]

logger = logging.getLogger(__name__)

_FOLDERS = ("configs", "docs", "scripts")
_SUFFIXES = {".conf", ".html", ".js", ".json", ".md", ".png", ".py", ".txt", ".yaml"}
_LARGE = 25_000_000  # bytes of a file that MONAI's zoo takes
_TEST = Path(__file__).with_name("zoo_test.py")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def package(
    model_dir: str,
    output_dir: str,
    name: str,
    version: str | None = None,
    change: str | None = None,
    metrics: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    data_license: str | None = None,
    large_files_url: str | None = None,
) -> Path:
    """Write ``<output_dir>/package/<name>_v<version>.zip``: the bundle with these weights, their metadata and their card.

    Beside it, ``test_<name>.py`` for the zoo's unit tests.

    Args:
        model_dir: folder of both networks' weights and descriptions.
        output_dir: folder to write to.
        name: name of the package and of its folder: letters, digits, ``_`` and ``-``.
        version: see :func:`~.zoo_metadata.zoo_metadata`.
        change: see there.
        metrics: see :func:`~.measured.measured`.
        metadata: texts in the place of the bundle's, see :func:`~.zoo_metadata.zoo_metadata`.
        data_license: terms of the data that the weights were trained on, in words.
        large_files_url: address of the folder that files above the zoo's limit of 25 MB are to be downloaded from.

    Returns:
        The zip.

    Raises:
        FileNotFoundError: weights, or a file of metrics, that are absent.
        ValueError: weights that are damaged, not described, of other classes than each other, or of a network that is not
            the bundle's; a malformed name, version or text; or another zip of this name.
        OSError: it cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"name: found {shown(name)}, expected letters, digits, _ and -, as pathology_tissue_segmentation")
    models = Path(model_dir)
    for kind in ("segmenter", "classifier"):  # an own one cannot be read without its file
        refuse_own_networks(read_description(models / FILES[kind], kind))
    segmenter = load_weights(models / FILES["segmenter"], "segmenter").description
    classifier = load_weights(models / FILES["classifier"], "classifier", facts=segmenter.facts).description
    figures = measured(segmenter, classifier, metrics, models.absolute().parent)
    about = zoo_metadata(segmenter, figures, metadata or {}, version, change)
    content = _bundle()
    for path in (models / file for file in FILES.values()):
        content[f"models/{path.name}"] = path
        content[f"models/{description_path(path).name}"] = description_path(path)
    content["configs/metadata.json"] = _json(about)
    content["configs/inference.json"] = _json(label_config())
    content["configs/train.json"] = _json(load_config(segmenter))
    content["docs/README.md"] = model_card(name, about, segmenter, classifier, figures, data_license).encode()
    if large := _large_files(content, large_files_url):
        content["large_files.yml"] = yaml.safe_dump({"large_files": large}, sort_keys=False).encode()
    folder = make_folder(Path(output_dir) / "package")
    written = write_zip(folder / f"{name}_v{about['version']}.zip", name, content)
    write_text(folder / f"test_{name}.py", _TEST.read_text(encoding="utf-8"))
    logger.info("%s: %d files, %.1f MB", written, len(content) + 1, written.stat().st_size / 1e6)
    return written


def _bundle() -> dict[str, bytes | Path]:
    """Files of the bundle by their paths in it: what it is made of, and nothing that was made with it."""
    root = Path(BUNDLE_ROOT)
    found: dict[str, bytes | Path] = {"LICENSE": root / "LICENSE"}
    for folder in _FOLDERS:
        for path in (root / folder).rglob("*"):
            name = path.relative_to(root)
            hidden = any(part.startswith((".", "__pycache__")) for part in name.parts)
            if path.is_file() and path.suffix in _SUFFIXES and not hidden:
                found[name.as_posix()] = path
    return found


def _large_files(content: Mapping[str, bytes | Path], url: str | None) -> list[dict[str, str]]:
    """Entries of ``large_files.yml``, as MONAI's zoo reads it."""
    large = [(name, p) for name, p in sorted(content.items()) if isinstance(p, Path) and p.stat().st_size > _LARGE]
    addresses = {name: f"{url.rstrip('/')}/{path.name}" if url else "" for name, path in large}
    return [{"path": n, "url": addresses[n], "hash_val": digest(p), "hash_type": "sha256"} for n, p in large]


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=4, ensure_ascii=False) + "\n").encode()
