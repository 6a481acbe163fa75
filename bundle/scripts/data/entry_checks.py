"""What may be wrong with one entry of a datalist: its image, label, mask and position."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.facts import DatasetFacts
from ..core.images import image_mode, read_image, read_mask
from ..core.paths import shown
from .datalist import POSITION, checked_entry, is_inside, is_position
from .mask_values import MaskShares
from .white_choice import WhiteShares

__all__ = ["EntryChecks", "Fault"]


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


@dataclass
class EntryChecks:
    """Checks one entry after the other, and collects faults and figures.

    Args:
        path: the datalist.
        facts: facts of the dataset.
        faults: faults found.
        shares: of the values of the true masks.
        white: of the images that are measured.
    """

    path: Path
    facts: DatasetFacts
    faults: list[Fault] = field(default_factory=list)
    shares: MaskShares = field(default_factory=MaskShares)
    white: WhiteShares = field(default_factory=WhiteShares)
    _seen: dict[str, tuple[str, str, Any]] = field(default_factory=dict)
    _patch_size: tuple[int, int] | None = None
    _mode: str | None = None

    def add(self, kind: str, file: Any, found: Any, expected: Any, severity: str = "error") -> None:
        """Note a fault."""
        self.faults.append(Fault(severity, kind, shown(str(file)), str(found), str(expected)))

    def check(self, section: str, number: int, entry: Any, measured: bool, present: np.ndarray) -> None:
        """Check an entry.

        Args:
            section: its section.
            number: its place there.
            entry: the entry.
            measured: whether it is of the sample that white is measured on.
            present: ``(C,)`` bool; classes that it shows are noted there.
        """
        if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
            self.add("malformed datalist", self.path, f"{section} entry {number}: {entry!r:.80}", "an object with 'image'")
            return
        base, image_path, before = self.path.parent, self.path.parent / entry["image"], len(self.faults)
        for name in (entry["image"], entry.get("mask")):
            if isinstance(name, str) and not _stays(base, name):
                self.add("path outside", self.path, f"{name!r} in {section} entry {number}", f"a path inside {base}")
        image = self._read(lambda: read_image(image_path), "unreadable image", image_path)
        if image is not None:
            mode = image_mode(image_path)
            self._mode = self._mode or mode
            if mode != self._mode:
                self.add("image mode", image_path, f"a {mode} image", f"{self._mode} as the first image", "warning")
            self._check_twin(image, section, image_path, entry.get("label"))
            if section == "training":
                self._patch_size = self._patch_size or image.shape[:2]
                if image.shape[:2] != self._patch_size:
                    size = f"{self._patch_size} as the first patch"
                    self.add("patch size", image_path, f"{image.shape[:2]} px (H, W)", size)
        if entry.get("position") is not None and not is_position(entry["position"]):
            self.add("position", image_path, f"position {entry['position']!r}", POSITION)
        self._check_label(entry, section, image_path, present)
        mask = self._check_mask(entry, section, image, image_path, present)
        if mask is not None:
            self._compare(entry.get("label"), mask, image_path)
        if measured and image is not None:
            self.white.add(image, mask, self.facts)
        if not any(fault.severity == "error" for fault in self.faults[before:]):
            self._check_fields(entry, base, f"{section} entry {number}")

    def _check_fields(self, entry: Mapping[str, Any], base: Path, where: str) -> None:
        """What every stage that reads the entry would refuse."""
        try:
            checked_entry(entry, base, self.facts, where)
        except ValueError as error:
            found, _, expected = str(error).replace(": found ", ": ").partition(", expected ")
            self.add("malformed datalist", self.path, found, expected or "a whole entry")

    def _read(self, read: Callable[[], np.ndarray], kind: str, path: Path) -> np.ndarray | None:
        try:
            return read()
        except FileNotFoundError:
            self.add("missing file", path, "no such file", "a file named by the datalist")
        except (OSError, ValueError) as error:
            found, _, expected = str(error).removeprefix(f"{path}: ").removeprefix("found ").partition(", expected ")
            self.add(kind, path, found, expected or "a whole, readable file")
        return None

    def _check_twin(self, image: np.ndarray, section: str, path: Path, label: Any) -> None:
        """The same pixels in two sections, or with two labels."""
        digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
        other_section, other, other_label = self._seen.setdefault(digest, (section, str(path), label))
        if other_section != section:
            found = f"the same pixels as {other} ({other_section})"
            self.add("image in two splits", path, found, f"{section} images of its own")
        elif None not in (label, other_label) and label != other_label:
            found = f"label {label}, and label {other_label} of the same pixels in {other}"
            self.add("image with two labels", path, found, "one label of an image")

    def _check_label(self, entry: Mapping[str, Any], section: str, image: Path, present: np.ndarray) -> None:
        label, count = entry.get("label"), self.facts.num_classes
        severity = "error" if section == "training" else "warning"
        if label is None:
            if section == "training":
                self.add("no label", image, "no label", f"{count} values of 0 or 1")
            return
        if not isinstance(label, list) or len(label) != count:
            self.add("label length", image, f"label {label}", f"{count} values, one per class")
        elif any(v not in (0, 1) for v in label):
            self.add("label value", image, f"label {label}", "values 0 and 1")
        elif not any(label):
            self.add("all-zero label", image, f"label {label}", "at least one class", severity)
        else:
            present |= np.asarray(label, bool)

    def _compare(self, label: Any, mask: np.ndarray, image: Path) -> None:
        """Where a label and a true mask contradict each other, whatever share of a patch counts as showing a class."""
        count, most = self.facts.num_classes, max(0.5, self.facts.label_threshold or 0.0)
        shares = np.bincount(mask.ravel(), minlength=256)[:count] / max(1, mask.size)
        if not isinstance(label, list) or len(label) != count or shares.sum() <= 0.5:
            return  # or hardly annotated: what lies elsewhere is not known
        classes = list(zip(self.facts.classes, label, shares, strict=True))
        found = [f"no pixel of {name!r} in its mask" for name, value, share in classes if value and not share]
        found += [f"{name!r} in more than half of it" for name, value, share in classes if not value and share > most]
        if found:
            self.add("label and mask", image, f"label {label}, and {', '.join(found)}", "one that fits its mask", "warning")

    def _check_mask(
        self, entry: Mapping[str, Any], section: str, image: np.ndarray | None, image_path: Path, present: np.ndarray
    ) -> np.ndarray | None:
        if not isinstance(entry.get("mask"), str):
            if section == "test":
                self.add("no mask", image_path, "no mask", "a mask, without which it cannot be scored", "warning")
            return None
        path, highest = self.path.parent / entry["mask"], self.facts.white_value
        mask = self._read(lambda: read_mask(path), "unreadable mask", path)
        if mask is None:
            return None
        self.shares.add_mask(path, mask)
        values = np.unique(mask)
        if values.max(initial=0) > highest:
            self.add("mask value", path, f"values {values[values > highest].tolist()[:8]}", f"0 to {highest}")
        if image is not None and mask.shape != image.shape[:2]:
            size = f"{image.shape[:2]} as its image {image_path.name}"
            self.add("size mismatch", path, f"{mask.shape} px (H, W)", size)
        if section != "training":
            present[values[values < self.facts.num_classes]] = True
        return mask


def _stays(base: Path, name: str) -> bool:
    try:
        return is_inside(base, name)
    except (OSError, ValueError, RuntimeError):  # no path at all, or links in a circle
        return False
