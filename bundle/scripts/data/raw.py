"""Raw data as a layout finds it: what is to be prepared, from which files, and the settings that decide on it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.facts import DatasetFacts
from .datalist import load_datalist
from .groups import compiled, groups_of_rois
from .layouts import collect, layout_file
from .rois import find_rois
from .sources import Cutter, cutter_of, source_settings

__all__ = ["RawData", "cut_raw", "find_raw", "given_files", "settings_of"]

# settings that the result of a layout does not depend on
_OF_ROIS = ("patch_size", "stride", "scale", "label_threshold", "test_fraction", "image_folder", "mask_folder")
# those of sources that are cut
_OF_SOURCES = ("min_cover", "min_tissue", "unnamed")
_BY_CONTENT = ("labels",)


@dataclass
class RawData:
    """What a layout finds.

    Args:
        files: files that are read, by their names in the source.
        facts: facts of the raw data.
        white_said: whether they say what white is.
        pairs: image and mask per region, for ``rois``.
        groups: slide or case of each region, for ``rois``.
        sections: entries per section, for the other layouts.
        skipped: a message for each thing that cannot be used.
        more: what a layout of one's own says of the files, which it may have from elsewhere, as a digest by its name.
        cutter: what makes patches of the source first, which are read only then.
    """

    files: dict[str, Path] = field(default_factory=dict)
    facts: DatasetFacts | None = None
    white_said: bool = True
    pairs: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    sections: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)
    cutter: Cutter | None = None

    def images(self, target: Path) -> list[Path]:
        """Images whose size of a pixel is that of the dataset; those of the other layouts may be relative to ``target``."""
        entries = [e for part in self.sections.values() for e in part if e.get("mpp") is None]
        return [image for image, _ in self.pairs.values()] or [target / entry["image"] for entry in entries]


def find_raw(source: Path, target: Path, settings: Mapping[str, Any]) -> RawData:
    """Find what there is to prepare; no pixel is read.

    Args:
        source: folder of the raw data, or a datalist.
        target: folder of the prepared dataset.
        settings: arguments of :func:`~.prepare.prepare`.

    Raises:
        FileNotFoundError: an expected file or folder is absent.
        ValueError: data that do not fit; the message says what.
    """
    layout, dataset = settings["layout"], settings["dataset"]
    if (cutter := cutter_of(layout, source, settings)) is not None:
        return RawData(dict(cutter.files), more=dict(cutter.more), cutter=cutter)
    base = source if source.is_dir() else source.parent
    said = "white_background" in dataset
    if layout == "rois":
        facts = DatasetFacts.from_dict(dataset, "dataset")
        pairs, skipped = find_rois(source, settings["image_folder"], settings["mask_folder"], [target])
        files = _named([path for pair in pairs.values() for path in pair], base)
        images = {stem: image for stem, (image, _) in pairs.items()}
        groups = groups_of_rois(images, source, compiled(settings["group"]))
        return RawData(files, facts, said, pairs=pairs, groups=groups, skipped=skipped)
    table, group = settings["labels"], settings["group"]
    fraction, seed = settings["val_fraction"], settings["seed"]
    facts, sections, skipped = collect(layout, source, target, dataset, table, fraction, seed, group)
    paths = [target / e[key] for entries in sections.values() for e in entries for key in ("image", "mask") if e.get(key)]
    files = _named(paths, base)
    listed = source if source.is_file() else source / "datalist.json"
    files.update(given_files(settings))
    more = {}
    if layout == "patches" and not table and (base / "labels.csv").is_file():
        files["labels.csv"] = base / "labels.csv"
    elif layout == "datalist":
        said = said or load_datalist(listed).get("white_background") is not None
        if not Path(os.path.realpath(listed)).is_relative_to(os.path.realpath(target)):  # else it is what is made
            files[listed.name] = listed
    elif layout_file(layout) is not None:
        found = [{**e, "image": None, "mask": None} for name in sections for e in sections[name]]
        more["what the layout says of them"] = hashlib.sha256(
            json.dumps([facts.to_dict(), found], default=str).encode()
        ).hexdigest()
    return RawData(files, facts, said or facts.white_background, sections=sections, skipped=skipped, more=more)


def cut_raw(cutter: Cutter, folder: Path, target: Path, settings: Mapping[str, Any], progress: bool) -> RawData:
    """Cut a source into patches and find these.

    Args:
        cutter: see :class:`~.sources.Cutter`.
        folder: folder of the patches.
        target: see :func:`find_raw`.
        settings: see there.
        progress: whether to show a progress bar.
    """
    skipped = cutter.cut(folder, progress)
    dataset = {**cutter.dataset, **settings["dataset"]}
    raw = find_raw(
        folder, target, {**settings, "layout": "patches", "group": None, "dataset": dataset}
    )  # the table tells groups
    raw.skipped = [*skipped, *raw.skipped]
    return raw


def given_files(settings: Mapping[str, Any]) -> dict[str, Path]:
    """Files beside the source that decide on the result, by their names: a table of labels, a layout of one's own."""
    table, own = settings["labels"], layout_file(settings["layout"])
    paths = [Path(table)] if settings["layout"] == "patches" and table else [] if own is None else [own]
    return {path.name: path for path in paths if path.is_file()}


def settings_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings that the result depends on; a table of labels counts by its content."""
    counted = source_settings(settings["layout"])
    left_out = [*(() if settings["layout"] == "rois" else _OF_ROIS), *_OF_SOURCES]
    left_out = [key for key in left_out if key not in counted]
    return {key: value for key, value in settings.items() if key not in (*left_out, *_BY_CONTENT)}


def _named(paths: list[Path], base: Path) -> dict[str, Path]:
    """Files by their names relative to a folder, links followed or not; those outside by their whole paths."""
    found = {}
    for path in paths:
        for plain in (os.path.abspath, os.path.realpath):
            if Path(plain(path)).is_relative_to(plain(base)):
                name = Path(plain(path)).relative_to(plain(base))
                break
        else:
            name = Path(os.path.abspath(path))
        found[name.as_posix()] = path
    return found
