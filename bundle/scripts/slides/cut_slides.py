"""Annotated slides to a folder of labelled patches, for ``prepare``'s layout ``slides``."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import logging
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic import discard_unfinished, write_json, write_text
from ..core.digest import file_sha256
from ..core.facts import DatasetFacts
from ..core.image_writers import write_image
from ..core.paths import shown
from ..core.progress import track
from ..core.white import white_background
from ..data.groups import compiled
from ..data.sources import register_source
from .annotated_slides import AnnotatedSlide, annotated_slides
from .region_patches import Labelled, PatchRule, label_patches
from .regions import ClassNames, Frame, Regions, read_regions
from .slide_pixels import UnreadableRegion
from .slide_reading import Slide, open_slide
from .tissue_mask import find_tissue

__all__ = ["SlideCutter"]

logger = logging.getLogger(__name__)

#: In the folder of the patches: by it the folder is known; in that of a slide: its patches, written last.
_MARK, _RECORD, _TEMPORARY = ".cut-from-slides", ".cut.json", ".cutting-"
#: Counted up when the same slide and annotations give other patches.
_FORMAT = 1
_ENDS = 2**20  # bytes of a slide's start and end by which it is known
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_COARSER = 1.25  # times the wanted µm/px that a slide may have
_SETTINGS = ("patch_size", "stride", "label_threshold", "min_cover", "min_tissue", "unnamed")


class SlideCutter:
    """Cuts annotated slides into patches with image-level labels.

    Args:
        source: see :func:`~.annotated_slides.annotated_slides`.
        settings: all of :func:`~scripts.data.prepare`; its ``dataset`` must have ``classes`` and ``mpp``.

    Attributes:
        files: files of annotations and the table.
        more: what tells the slides.
        dataset: nothing: the settings have it all.

    Raises:
        FileNotFoundError: no slide with annotations.
        ValueError: facts without classes or µm/px; a malformed table.
    """

    def __init__(self, source: Path, settings: Mapping[str, Any]) -> None:
        dataset = settings["dataset"]
        if dataset.get("mpp") is None:
            raise ValueError(
                "layout slides: the µm/px of the patches is not known; give it in the dataset file (dataset: {mpp: 0.5}) or "
                "by --dataset#mpp 0.5"
            )
        if not dataset.get("classes"):
            raise ValueError(
                "layout slides: the classes are not known; name those of the annotations that are to be learnt in the "
                "dataset file, or by --dataset#classes \"['tumour', 'stroma']\""
            )
        self.facts = DatasetFacts.from_dict(dict(dataset), "dataset")
        self.names = ClassNames(self.facts.classes, self.facts.descriptions)
        size = tuple(settings["patch_size"])
        rule = {key: settings[key] for key in _SETTINGS if key not in ("patch_size", "stride")}
        self.rule = PatchRule(float(self.facts.mpp), size, settings["stride"] or min(size), **rule)
        self.slides, self.faults, table = annotated_slides(source, compiled(settings["group"]))
        base = source if source.is_dir() else source.parent
        self.files = {_name(slide.file, base): slide.file for slide in self.slides}
        if table is not None:
            self.files[_name(table, base)] = table
        self.more = {_name(slide.path, base): _content(slide.path) for slide in self.slides}
        self.dataset: dict[str, Any] = {}
        self._made: set[str] = set()

    def cut(self, folder: Path, progress: bool) -> list[str]:
        """Make ``labels.csv`` and a folder of patches per slide; those of slides that have not changed stay.

        Args:
            folder: made if absent.
            progress: whether to show a progress bar.

        Returns:
            A message for each thing that was skipped.

        Raises:
            FileExistsError: the folder holds something else.
            ValueError: no patch could be cut.
        """
        _open_folder(folder)
        rows, skipped, self._made = [], list(self.faults), set()
        for slide in track(self.slides, "slides", len(self.slides), progress):
            try:
                place = folder / f"{slide.name}-{self._digest(slide)[:10]}"
                if not (place / _RECORD).is_file():
                    self._cut(slide, place)
                record = json.loads((place / _RECORD).read_text(encoding="utf-8"))
            except (ValueError, OSError) as error:
                if isinstance(error, OSError) and error.errno in _NO_ROOM:
                    raise
                skipped.append(_line(slide, error))
                continue
            self._made.add(place.name)
            skipped += record["faults"]
            rows += [[f"{place.name}/{row[0]}", slide.group, slide.name, *row[1:]] for row in record["rows"]]
            self._say(slide, record)
        if not rows:
            raise ValueError("\n".join(["layout slides: no patch could be cut", *skipped]))
        write_text(folder / "labels.csv", self._table(rows))
        return skipped

    def discard_old(self, folder: Path) -> None:
        """Remove the patches that the last :meth:`cut` did not list."""
        for record in folder.glob(f"*/{_RECORD}"):
            if record.parent.name not in self._made:
                shutil.rmtree(record.parent, ignore_errors=True)

    def _digest(self, slide: AnnotatedSlide) -> str:
        """What the patches of a slide depend on."""
        said = [(r.name, r.shape.wkt) for r in slide.regions or ()] or file_sha256(slide.file)
        names = self.facts.classes, self.facts.descriptions
        white = self.facts.white_background
        parts = [_FORMAT, _content(slide.path), slide.mpp, said, names, white, asdict(self.rule)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _cut(self, annotated: AnnotatedSlide, place: Path) -> None:
        """Cut one slide into ``place``, whole or not at all."""
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=place.parent))
        try:
            with open_slide(annotated.path, annotated.mpp) as slide:
                if max(slide.mpp) > _COARSER * self.rule.mpp:
                    raise ValueError(
                        f"{shown(annotated.path)}: has {max(slide.mpp):.4g} µm/px, coarser than the dataset's "
                        f"{self.rule.mpp:.4g}; leave it out, or give the dataset a larger mpp"
                    )
                pixel = tuple(self.rule.mpp / own for own in slide.mpp)
                patch = tuple(side * step for side, step in zip(self.rule.size, pixel, strict=True))
                where = _where(annotated)
                regions = read_regions(annotated.drawn(), self.names, Frame(where, slide.bounds[2:], patch))
                labelled = Labelled()
                if regions.told or any(area.value < len(self.names.classes) for area in regions.areas):
                    labelled = self._label(slide, regions, pixel)
                elif not regions.faults:
                    regions.faults.append(f"{where}: no annotation has a class of {', '.join(self.names.classes)}")
                rows = self._write(slide, annotated.name, labelled, regions, temporary)
            out = {**labelled.left_out, **({"annotations without a class": regions.unnamed} if regions.unnamed else {})}
            write_json(temporary / _RECORD, {"rows": rows, "faults": regions.faults, "left_out": out})
            temporary.chmod(0o755)  # mkdtemp's are private
            if place.exists():
                shutil.rmtree(place)  # without record: not whole
            os.replace(temporary, place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _label(self, slide: Slide, regions: Regions, pixel: tuple[float, float]) -> Labelled:
        rule = self.rule

        def white(top: int, left: int) -> np.ndarray:
            # what cannot be read comes white here, and is told of when it is to be written
            return white_background(slide.read(top, left, *rule.size, rule.mpp, lost=[]))

        asked = white if self.facts.white_background else None
        tissue = find_tissue(slide, rule.mpp)
        return label_patches(regions, tissue, slide.grid(rule.mpp), pixel, rule, len(self.names.classes), asked)

    def _write(self, slide: Slide, name: str, labelled: Labelled, regions: Regions, folder: Path) -> list[list[Any]]:
        """Write the patches; a row of file, place and label for each."""
        rows, lost = [], []
        for (top, left), classes in sorted(labelled.patches.items()):
            try:
                pixels = slide.read(top, left, *self.rule.size, self.rule.mpp)
            except UnreadableRegion as error:
                lost.append(str(error))
                continue
            file = f"{name}_y{top}_x{left}.png"
            write_image(folder / file, pixels, (self.rule.mpp, self.rule.mpp))
            rows.append([file, top, left, [int(k in classes) for k in range(len(self.names.classes))]])
        if lost:
            others = f" and {len(lost) - 1} other patches" if len(lost) > 1 else ""
            regions.faults.append(f"{lost[0]}{others}: left out")
        return rows

    def _table(self, rows: Sequence[Sequence[Any]]) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["image", "group", "slide", "position_y", "position_x", "mpp", *self.names.classes])
        for image, group, slide, top, left, label in rows:
            table.writerow([image, group, slide, top, left, self.rule.mpp, *label])
        return text.getvalue()

    def _say(self, slide: AnnotatedSlide, record: Mapping[str, Any]) -> None:
        counts = Counter(k for row in record["rows"] for k, value in enumerate(row[3]) if value)
        shows = ", ".join(f"{name} {counts[k]}" for k, name in enumerate(self.names.classes))
        out = "".join(f"; {count} {reason}" for reason, count in record["left_out"].items())
        logger.info("%s: %d patches (%s)%s", slide.name, len(record["rows"]), shows, out and f"; left out{out[1:]}")


def _line(slide: AnnotatedSlide, error: Exception) -> str:
    """A message that names the slide, and settings that there are here."""
    text = " ".join(str(error).split()).removesuffix(", or by --mpp")
    named = any(shown(path) in text for path in (slide.path, slide.file))
    return text if named else f"{shown(slide.path)}: {text or type(error).__name__}"


def _where(slide: AnnotatedSlide) -> str:
    return shown(slide.file) if slide.regions is None else f"{shown(slide.file)}, {slide.name}"


def _name(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _content(path: Path) -> str:
    """What tells a slide: it is too large to be read for that."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        for start in (0, max(0, size - _ENDS)):
            file.seek(start)
            digest.update(file.read(_ENDS))
    folder = path.with_suffix("") if path.suffix.lower() == ".mrxs" else None
    beside = sorted((p.name, p.stat().st_size) for p in folder.iterdir()) if folder and folder.is_dir() else []
    return f"{size} bytes, {hashlib.sha256(json.dumps([digest.hexdigest(), beside]).encode()).hexdigest()}"


def _open_folder(folder: Path) -> None:
    if folder.exists() and not (folder / _MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"{shown(folder)}: there already, and not made by prepare, which is to cut slides to it; move it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / _MARK, "patches of slides, made by prepare\n")
    discard_unfinished(folder)
    for left in folder.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(left, ignore_errors=True)


register_source("slides", SlideCutter, _SETTINGS)
