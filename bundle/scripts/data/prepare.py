"""From raw data to a prepared dataset: a folder with ``datalist.json``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.arguments import arguments
from ..core.facts import DATALIST_NAME, DatasetFacts
from ..core.lock import locked
from ..core.ranges import PATCH_SIDE, PROBABILITY, Number, shown
from .archives import discard_unpacking, is_archive, unpack
from .convert import convert, white_shares
from .datalist import write_datalist
from .layouts import known_layouts
from .preparation import INDEX, RECORD, SourceState, finish_interrupted, made_before, prepared, refuse_to_lose, write_record
from .raw import RawData, cut_raw, find_raw, given_files, settings_of
from .roi_patches import FOLDERS, survey, write_patches
from .split_summary import split_summary, warn_of_the_split
from .staging import made_aside
from .stated_mpp import with_stated_mpp

__all__ = ["prepare", "prepare_settings"]

logger = logging.getLogger(__name__)

_SCALE = Number(0.01, 100)
_STRIDE = Number(1, whole=True, unit="px")
_SEED = Number(0, 2**32 - 1, whole=True)
_SHARE = Number(0, 1)
_UNNAMED = ("unknown", "absent")


def prepare(
    source: str | Path,
    target: str | Path,
    dataset: Mapping[str, Any] | None = None,
    layout: str = "rois",
    patch_size: int | Sequence[int] = 224,
    stride: int | None = None,
    scale: float = 1.0,
    label_threshold: float = 0.05,
    val_fraction: float = 0.15,
    test_fraction: float = 0.2,
    seed: int = 0,
    labels: str | None = None,
    group: str | None = None,
    image_folder: str = "images",
    mask_folder: str = "masks",
    value_range: Sequence[float] | None = None,
    min_cover: float = 0.95,
    min_tissue: float = 0.25,
    unnamed: str = "unknown",
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Make a prepared dataset.

    Args:
        source: folder or archive of the raw data; an archive is unpacked beside ``target``.
        target: folder to make, or to add to: what is in it already stays.
        dataset: facts (``classes``, ``palette``, ``white_background``, ``mask_values``, ...; see
            :class:`~scripts.core.DatasetFacts`). May be absent for ``patches`` with a table, whose columns are the classes,
            and for ``datalist``. Where they do not say ``white_background``, white is measured and the safer choice taken.
        layout: ``rois``: images and masks of regions, cut into patches. ``luad`` and ``bcss``: the published folders of
            LUAD-HistoSeg and BCSS-WSSS, used where they are. ``patches``: a folder of patches with labels in their names
            or in a table. ``datalist``: a MONAI datalist JSON. ``slides``: annotated slides, cut into patches beside
            ``target`` (of :mod:`scripts.slides`, which must be imported).
        patch_size: side, or (height, width), of the patches cut from ROIs or slides, in px after scaling.
        stride: step between patches in px; the patch's smaller side by default.
        scale: factor by which ROIs are resampled first; of ``rois`` alone.
        label_threshold: a class is in a patch's label if it fills more than this share of it.
        val_fraction: share of the ROIs (of the groups, for ``patches`` without a validation folder) for validation.
        test_fraction: share of the ROIs for the test.
        seed: seed of the split.
        labels: table of labels for ``patches``; ``labels.csv`` in the source if there is one.
        group: regular expression that finds the slide or case in a patch's path below the source: what it matches, or its
            group. Without it, a column of the table, subfolders or the names tell (see :func:`~.groups.assign_groups`).
        image_folder: name of the images' folder for ``rois``.
        mask_folder: name of the masks' folder for ``rois``.
        value_range: values [low, high] that become 0 and 255 in images of other than 8 bits, those outside are clipped;
            such images are refused without.
        min_cover: share of the tissue of a slide's patch that regions must cover for its label to be known.
        min_tissue: share of a slide's patch that must be tissue.
        unnamed: what the regions of a slide do not name: ``unknown``, so that only patches that they cover have a label; or
            ``absent`` from all patches in which they name something.
        overwrite: replace a prepared dataset of other settings, or of a source that has changed.
        progress: whether to show progress bars.

    Returns:
        Path of the datalist. If the target was prepared before from files of the same content with the same settings,
        nothing is done. What cannot be read is skipped. The dataset of before stays until the new one is whole.

    Raises:
        FileNotFoundError: no source.
        FileExistsError: the target holds something else; the message says what changed.
        BlockingIOError: another process prepares this target.
        ValueError: settings or data that do not fit; the message says what.
        SystemExit: something was skipped; the dataset of all others is written.
    """
    source, target = Path(source), Path(target)
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder")
    if layout not in known_layouts():
        hint = "; import scripts.slides first" if layout == "slides" else ""
        raise ValueError(f"layout: expected one of {known_layouts()}, found {layout!r}{hint}")
    settings = {
        "dataset": arguments(DatasetFacts, dataset or {}, "dataset"), "layout": layout, "patch_size": _size(patch_size),
        "stride": stride, "scale": scale, "label_threshold": label_threshold, "val_fraction": val_fraction,
        "test_fraction": test_fraction, "seed": seed, "labels": labels, "group": group, "image_folder": image_folder,
        "mask_folder": mask_folder, "value_range": value_range, "min_cover": min_cover, "min_tissue": min_tissue,
        "unnamed": unnamed,
    }  # fmt: skip
    _check(settings)
    with _alone(target):
        skipped = _prepare(source, target, settings, overwrite, progress)
    if skipped:
        what = {"rois": "ROIs", "slides": "slides or annotations"}.get(layout, "files")
        raise SystemExit("\n".join([f"{len(skipped)} {what} were skipped, all others are in {target}:", *skipped]))
    return target / DATALIST_NAME


def prepare_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the preparation, as in the ``prepare`` section of a dataset's config, as arguments of :func:`prepare`.

    Raises:
        ValueError: a setting that there is not, the message names the nearest; or a switch that is neither ``True`` nor
            ``False``.
    """
    return arguments(prepare, settings, "prepare", taken=("source", "target", "dataset"))


def _prepare(source: Path, target: Path, settings: Mapping[str, Any], overwrite: bool, progress: bool) -> list[str]:
    """Do what :func:`prepare` says; a message for each thing that was skipped."""
    archive = is_archive(source)
    given = {source.name: source, **given_files(settings)}
    raw = RawData(files=given) if archive else find_raw(source, target, settings)
    state = SourceState(raw.files, target / INDEX, progress, raw.more)
    counted = settings_of(settings)
    if prepared(target, counted, state, source, settings, overwrite):
        logger.info("%s is prepared already", target / DATALIST_NAME)
        return []
    if archive:
        raw = find_raw(unpack(source, _unpacked(target)), target, settings)
    cutter, place = raw.cutter, target.parent / f"{target.name}-patches"
    if cutter is not None:
        raw = cut_raw(cutter, place, target, settings, progress)
    old = made_before(target)
    foreign = [name for name in FOLDERS if raw.pairs and name not in old and (target / name).exists()]
    if foreign:
        raise FileExistsError(f"{target} holds {foreign[0]!r}, which prepare has not made; choose another target")
    read = [
        *raw.files.values(),
        *([source if source.is_file() else source / DATALIST_NAME] if settings["layout"] == "datalist" else []),
    ]
    refuse_to_lose(target, old, read)
    raw.facts = with_stated_mpp(raw.facts, raw.images(target), settings["seed"])
    with made_aside(target, old, DATALIST_NAME, RECORD) as folder:
        if raw.pairs:
            found = survey(raw.pairs, raw.facts, settings["value_range"], settings["seed"], progress)
            sections = write_patches(raw.pairs, found.pixels_of, raw.groups, folder, raw.facts, settings, progress)
            shares, skipped, white = found.shares, found.skipped, found.white
            # a pixel of a patch is as many µm as it takes after scaling
            mpp = raw.facts.mpp and raw.facts.mpp / settings["scale"]
            facts = replace(raw.facts, label_threshold=settings["label_threshold"], mpp=mpp, mask_values={})
        else:
            sections, shares, skipped = convert(raw.sections, target, folder, raw.facts, settings["value_range"], progress)
            facts, white = replace(raw.facts, mask_values={}), None
        more = {}
        if not raw.white_said:
            white = white or white_shares(sections, (folder, target), facts, settings["seed"])
            facts = replace(facts, white_background=white.choose())
            more["white"] = {"white_background": facts.white_background, "share": round(white.share, 4)}
        write_datalist(folder / DATALIST_NAME, facts, sections)
        more["skipped"] = skipped = [*raw.skipped, *skipped]
        write_record(folder, counted, state, [p.name for p in folder.iterdir()], **more)
    if cutter is not None:
        cutter.discard_old(place)
    logger.info("%s\n%s", target / DATALIST_NAME, split_summary(sections))
    if shares.count:
        logger.info("%s", shares.table(raw.facts))
    for found, expected in shares.suspicions(raw.facts):
        logger.warning("true masks: found %s, expected %s", found, expected)
    if settings["layout"] in ("rois", "datalist"):  # of the others, it was said where they were split
        warn_of_the_split(sections)
    return skipped


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Work in a target that no other process works in; one that is made and stays empty goes again."""
    fixed = target.is_dir() and not os.access(target, os.W_OK)  # what is prepared may be where nothing can be written
    existed = target.exists()
    try:
        with nullcontext() if fixed else locked(target / ".lock", f"prepare.yaml, which makes {target}"):
            if not fixed:
                finish_interrupted(target)
                discard_unpacking(_unpacked(target))
            yield
    finally:
        if not existed:
            with suppress(OSError):
                target.rmdir()


def _unpacked(target: Path) -> Path:
    """Folder that an archive is unpacked to."""
    return target.parent / f"{target.name}-source"


def _size(patch_size: Any) -> list[int]:
    sides = (patch_size, patch_size) if isinstance(patch_size, int) else patch_size
    return list(PATCH_SIDE.check_all(sides, "prepare#patch_size, at least 8 px", 2))


def _check(settings: Mapping[str, Any]) -> None:
    """Refuse settings of the preparation that nothing can be prepared with."""
    _SCALE.check(settings["scale"], "prepare#scale")
    _SEED.check(settings["seed"], "prepare#seed")
    if settings["stride"] is not None:
        _STRIDE.check(settings["stride"], "prepare#stride")
    _SHARE.check(settings["min_cover"], "prepare#min_cover")
    if settings["unnamed"] not in _UNNAMED:
        raise ValueError(f"prepare#unnamed: found {shown(settings['unnamed'])}, expected one of {', '.join(_UNNAMED)}")
    for key in ("label_threshold", "val_fraction", "test_fraction", "min_tissue"):
        PROBABILITY.check(settings[key], f"prepare#{key}")
    for key in ("image_folder", "mask_folder"):
        if not isinstance(settings[key], str) or not settings[key]:
            raise ValueError(f"prepare#{key}: found {shown(settings[key])}, expected the name of a folder in the source")
    if settings["value_range"] is not None:
        low, high = Number().check_all(settings["value_range"], "prepare#value_range", 2)
        if low >= high:
            raise ValueError(f"prepare#value_range: found {shown([low, high])}, expected [low, high], low below high")
    if not isinstance(settings["labels"], (str, os.PathLike, type(None))):
        raise ValueError(f"prepare#labels: found {shown(settings['labels'])}, expected the path of a table")
    if settings["labels"] and settings["layout"] != "patches":
        raise ValueError(
            f"prepare#labels: found {shown(settings['labels'])}, but layout {settings['layout']!r} reads no table; "
            "leave it out, or use the layout patches"
        )
    if settings["layout"] == "slides" and settings["scale"] != 1:
        raise ValueError(f"prepare#scale: found {settings['scale']}, but slides are read at the dataset's mpp: change that")
    if settings["layout"] != "rois" and settings["scale"] != 1:
        raise ValueError(
            f"prepare#scale: found {settings['scale']}, but images of layout {settings['layout']!r} are used as they are: "
            "resample them yourself and give the mpp of the result, or use the layout rois"
        )
