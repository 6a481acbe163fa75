"""Checks a prepared dataset before hours of training: every fault in one report."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..core.atomic import write_json, write_text
from ..core.facts import DATALIST_NAME, DatasetFacts
from ..core.images import IMAGE_SUFFIXES, image_mode, read_image, read_mask, suffix
from .datalist import POSITION, SECTIONS, is_inside, is_position

__all__ = ["Fault", "assert_sound", "check_dataset"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Args:
        severity: ``"error"`` (training would fail or learn something false) or ``"warning"``.
        kind: short name of the fault.
        file: file it was found in.
        found: what was found.
        expected: what was expected.
    """

    severity: str
    kind: str
    file: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.kind}: {self.file}: found {self.found}, expected {self.expected}"


def check_dataset(dataset_dir: str | Path, progress: bool = True) -> list[Fault]:
    """Read everything that a datalist names and list every fault; no fault ends the check.

    Checked are: the datalist itself; each path (inside the dataset unless absolute); each image (present, readable to
    its last byte, of the training patches' size in training, grey or colour as the first one); each mask (present,
    readable, one value per pixel, values in range, as large as its image); each label (length, values, not all zero);
    each position (two whole numbers); classes that never occur; images that stand in two sections, by content; files in
    the folders of the images and masks without their counterpart.

    Args:
        dataset_dir: prepared dataset.
        progress: whether to show a progress bar.

    Returns:
        Faults, errors first.
    """
    path = Path(dataset_dir) / DATALIST_NAME
    faults: list[Fault] = []

    def add(kind: str, file: Any, found: Any, expected: Any, severity: str = "error") -> None:
        faults.append(Fault(severity, kind, str(file), str(found), str(expected)))

    if not path.is_file():
        add("no datalist", path, "no such file", "a datalist.json made by prepare")
        return faults
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        facts = DatasetFacts.from_dict(content, str(path))
    except (ValueError, OSError) as error:
        add("malformed datalist", path, str(error), "JSON with 'classes' and lists of entries")
        return faults
    seen: dict[str, tuple[str, str]] = {}
    patch_size: tuple[int, int] | None = None
    mode: str | None = None
    for section in SECTIONS:
        entries = content.get(section, [])
        if not isinstance(entries, list):
            add("malformed datalist", path, f"{type(entries).__name__} under {section!r}", "a list")
            continue
        if not entries:
            add(
                "empty section",
                path,
                f"no entry under {section!r}",
                "entries",
                "error" if section == "training" else "warning",
            )
        present = np.zeros(facts.num_classes, bool)
        for number, entry in enumerate(tqdm(entries, desc=f"check {section}", disable=not progress, leave=False)):
            if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
                add("malformed datalist", path, f"{section} entry {number}: {entry!r:.80}", "an object with 'image'")
                continue
            image_path = path.parent / entry["image"]
            for name in (entry["image"], entry.get("mask")):
                if isinstance(name, str) and not is_inside(path.parent, name):
                    add("path outside", path, f"{name!r} in {section} entry {number}", f"a path inside {path.parent}")
            image = _read(lambda p=image_path: read_image(p), "unreadable image", image_path, add)
            if image is not None:
                found_mode = image_mode(image_path)
                mode = mode or found_mode
                if found_mode != mode:
                    add("image mode", image_path, f"a {found_mode} image", f"{mode} as the first image", "warning")
                _duplicate(image, section, image_path, seen, add)
                if section == "training":
                    patch_size = patch_size or image.shape[:2]
                    if image.shape[:2] != patch_size:
                        add("patch size", image_path, f"{image.shape[:2]} px (H, W)", f"{patch_size} as the first patch")
            if entry.get("position") is not None and not is_position(entry["position"]):
                add("position", image_path, f"position {entry['position']!r}", POSITION)
            _check_label(entry, section, image_path, facts, present, add)
            _check_mask(entry, section, path.parent, image, image_path, facts, present, add)
        for k in np.flatnonzero(~present) if entries else []:
            severity = "error" if section == "training" else "warning"
            add("class never present", path, f"no {section} entry with {facts.classes[k]!r}", "at least one", severity)
    _check_strays(content, path.parent, add)
    return sorted(faults, key=lambda fault: fault.severity)


def assert_sound(dataset_dir: str | Path, report_dir: str | Path | None = None, progress: bool = True) -> list[Fault]:
    """Check a dataset, print and write the report, and end if there is an error.

    Args:
        dataset_dir: prepared dataset.
        report_dir: folder for ``dataset_check.json`` and ``dataset_check.txt``; nothing is written without one.
        progress: whether to show a progress bar.

    Returns:
        The warnings.

    Raises:
        SystemExit: there are errors; each is in the message.
    """
    faults = check_dataset(dataset_dir, progress)
    text = "\n".join(map(str, faults)) or "no fault found"
    if report_dir is not None and Path(dataset_dir).is_dir():  # a mistyped folder is not made
        write_json(Path(report_dir) / "dataset_check.json", [asdict(f) for f in faults])
        write_text(Path(report_dir) / "dataset_check.txt", text + "\n")
    errors = [f for f in faults if f.severity == "error"]
    if errors:
        raise SystemExit(f"{dataset_dir}: {len(errors)} errors, {len(faults) - len(errors)} warnings\n{text}")
    logger.info("%s: checked: %s", dataset_dir, text)
    return faults


def _read(read: Callable[[], np.ndarray], kind: str, path: Path, add: Callable) -> np.ndarray | None:
    try:
        return read()
    except FileNotFoundError:
        add("missing file", path, "no such file", "a file named by the datalist")
    except (OSError, ValueError) as error:
        add(kind, path, str(error).removeprefix(f"{path}: "), "a whole, readable file")
    return None


def _duplicate(image: np.ndarray, section: str, path: Path, seen: dict[str, tuple[str, str]], add: Callable) -> None:
    digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
    other_section, other = seen.setdefault(digest, (section, str(path)))
    if other_section != section:
        add("image in two splits", path, f"the same pixels as {other} ({other_section})", f"{section} images of its own")


def _check_label(
    entry: Mapping[str, Any], section: str, image: Path, facts: DatasetFacts, present: np.ndarray, add: Callable
) -> None:
    label = entry.get("label")
    if label is None:
        if section == "training":
            add("no label", image, "no label", f"{facts.num_classes} values of 0 or 1")
        return
    if not isinstance(label, list) or len(label) != facts.num_classes:
        add("label length", image, f"label {label}", f"{facts.num_classes} values, one per class")
    elif any(v not in (0, 1) for v in label):
        add("label value", image, f"label {label}", "values 0 and 1")
    elif not any(label):
        add(
            "all-zero label",
            image,
            f"label {label}",
            "at least one class",
            "error" if section == "training" else "warning",
        )
    else:
        present |= np.asarray(label, bool)


def _check_mask(
    entry: Mapping[str, Any],
    section: str,
    base: Path,
    image: np.ndarray | None,
    image_path: Path,
    facts: DatasetFacts,
    present: np.ndarray,
    add: Callable,
) -> None:
    if not isinstance(entry.get("mask"), str):
        if section == "test":
            add("no mask", image_path, "no mask", "a mask, without which it cannot be scored", "warning")
        return
    path = base / entry["mask"]
    mask = _read(lambda: read_mask(path), "unreadable mask", path, add)
    if mask is None:
        return
    values = np.unique(mask)
    if values.max() > facts.white_value:
        add("mask value", path, f"values {values[values > facts.white_value].tolist()[:8]}", f"0 to {facts.white_value}")
    if image is not None and mask.shape != image.shape[:2]:
        add("size mismatch", path, f"{mask.shape} px (H, W)", f"{image.shape[:2]} as its image {image_path.name}")
    if section != "training":
        present[values[values < facts.num_classes]] = True


def _check_strays(content: Mapping[str, Any], base: Path, add: Callable) -> None:
    """Files beside those that the datalist names: a mask without image, an image that nothing names."""
    named: dict[str, set[Path]] = {"image": set(), "mask": set()}
    for section in SECTIONS:
        for entry in content.get(section) if isinstance(content.get(section), list) else []:
            for key in named:
                if isinstance(entry, dict) and isinstance(entry.get(key), str):
                    named[key].add((base / entry[key]).absolute())
    for key, kind, expected in (
        ("mask", "mask without image", "an image of the same name in the datalist"),
        ("image", "image not in the datalist", "an entry, with its mask or label"),
    ):
        others = named["image"] | named["mask"]
        for folder in sorted({p.parent for p in named[key]}):
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if path.is_file() and suffix(path) in IMAGE_SUFFIXES and path.absolute() not in others:
                    add(kind, path, "a file that no entry names", expected)
