"""Which patches belong together, so that a split keeps them on one side: by a pattern, the data's word, folder or name."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path, PurePath
from typing import Any

from .datalist import SECTIONS
from .places import Place, places_by_name
from .positions import contradicted

__all__ = ["HOW_TO_GROUP", "assign_groups", "compiled", "groups_of_rois", "groups_of_slides", "warn_of_shared_groups"]

logger = logging.getLogger(__name__)

#: What to do where nothing tells groups.
HOW_TO_GROUP = "give a column 'group', a subfolder for each slide or case, or --prepare \"{'group': REGEX}\""
# sections of which all entries must have a group, and what those are
_TRAINING = {"training": "training patches", "regions": "regions", "slides": "slides"}


def compiled(pattern: str | None, name: str = "prepare#group") -> re.Pattern[str] | None:
    """A setting as a regular expression that finds groups.

    Args:
        pattern: its value.
        name: its name, for messages.

    Raises:
        ValueError: it is none, or has several groups of which none is named ``group``.
    """
    if pattern is None:
        return None
    try:
        found = re.compile(pattern)
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise ValueError(f"{name}: found {pattern!r}, expected a regular expression ({error})") from error
    if found.groups > 1 and "group" not in found.groupindex:
        raise ValueError(f"{name}: {pattern!r} has {found.groups} groups; name the one that tells the slide: (?P<group>...)")
    return found


def assign_groups(
    sections: Mapping[str, Sequence[dict[str, Any]]], base: Path, classes: Sequence[str], pattern: re.Pattern[str] | None
) -> None:
    """Give every entry the ``group`` that it belongs to; training entries a ``position`` where their names spell one, too.

    The group is what the pattern finds; or else what the entry has; the first subfolder that tells patches apart, unless it
    is named as a class; what the name says (see :mod:`~.places`). ``region`` is what the position is counted in, where that
    is not the group.

    Args:
        sections: lists of entries with ``image``, a path.
        base: folder of the source.
        classes: names of the classes.
        pattern: of the setting ``group``.

    Raises:
        ValueError: the pattern does not fit every training patch; the message names the first.
    """
    paths = {name: [Path(os.path.relpath(e["image"], base)) for e in entries] for name, entries in sections.items()}
    names = [re.sub(r"\.nii$", "", path.stem) for part in paths.values() for path in part]
    places = iter(places_by_name(names))
    by: dict[str, int] = {}
    for name, entries in sections.items():
        found = [_by_pattern(pattern, path) if pattern else None for path in paths[name]]
        missing = [path for path, group in zip(paths[name], found, strict=True) if not group]
        trains = name in _TRAINING
        if pattern and missing and trains:
            raise ValueError(
                f"prepare#group: {pattern.pattern!r} finds nothing in {len(missing)} of {len(found)} {_TRAINING[name]}, "
                f"the first is {missing[0]}; expected a pattern that fits the path of each below {base}"
            )
        for entry, path, group, folder, place in zip(
            entries, paths[name], found, _folders(paths[name]), places, strict=False
        ):
            given = {
                "the pattern": group,
                "what the data says": entry.get("group"),
                "subfolders": "" if folder.casefold() in {c.casefold() for c in classes} else folder,
                "names": place.group or base.resolve().name,
            }
            source = next(source for source, value in given.items() if value not in (None, ""))
            if trains:
                by[source] = by.get(source, 0) + 1
            if name == "training":
                _place(entry, path, place, given[source])
            entry["group"] = given[source]
    _drop_contradicted(sections.get("training", ()))
    what, entries = next((what, sections[name]) for name, what in _TRAINING.items() if name in sections)
    count = len({entry["group"] for entry in entries})
    logger.info("%s: %d %s of %d groups, by %s", base, len(entries), what, count, " and ".join(by))
    if count == len(entries) > 1 and list(by) == ["names"] and what != "slides":
        logger.warning(
            "%s: the names of the %s tell no slide or case, each is a group of its own; those of one slide may then both "
            "train and validate: %s", base, what, HOW_TO_GROUP,
        )  # fmt: skip


def groups_of_rois(images: Mapping[str, Path], base: Path, pattern: re.Pattern[str] | None) -> dict[str, str]:
    """The group of each region of interest, by the names of their images.

    Args:
        images: image per region.
        base: folder of the source.
        pattern: of the setting ``group``.

    Raises:
        ValueError: the pattern does not fit every image; the message names the first.
    """
    return _groups_of("regions", images, base, pattern)


def groups_of_slides(slides: Mapping[str, Path], base: Path, pattern: re.Pattern[str] | None) -> dict[str, str]:
    """The group of each slide by its name: the patient or case, or the slide itself; see :func:`groups_of_rois`."""
    return _groups_of("slides", slides, base, pattern)


def _groups_of(section: str, files: Mapping[str, Path], base: Path, pattern: re.Pattern[str] | None) -> dict[str, str]:
    entries = [{"image": path} for path in files.values()]
    assign_groups({section: entries}, base, (), pattern)
    return {name: entry["group"] for name, entry in zip(files, entries, strict=True)}


def warn_of_shared_groups(sections: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Say which groups stand in several sections: scores then come from slides or cases that trained."""
    groups = {name: {str(e["group"]) for e in entries if e.get("group") is not None} for name, entries in sections.items()}
    for one, other in combinations(SECTIONS, 2):
        shared = sorted(groups.get(one, set()) & groups.get(other, set()))
        if shared:
            logger.warning(
                "groups that stand both in %s and in %s: %d (%s%s); these scores are not of slides or cases that are new to "
                "the network", one, other, len(shared), ", ".join(shared[:3]), ", ..." if len(shared) > 3 else "",
            )  # fmt: skip


def _by_pattern(pattern: re.Pattern[str], path: PurePath) -> str | None:
    """What a pattern finds in a path below the source, or in the name with or without suffix; ``None``: nothing."""
    found = next(filter(None, map(pattern.search, (path.as_posix(), path.name, path.stem))), None)
    if found is None:
        return None
    return found["group"] if "group" in pattern.groupindex else found[min(1, pattern.groups)]


def _folders(paths: Sequence[PurePath]) -> list[str]:
    """The first subfolder of each path below the folder that they share; empty for a file in that."""
    common = os.path.commonpath([path.parent for path in paths]) if paths else ""
    return [next(iter(path.parent.relative_to(common).parts), "") for path in paths]


def _place(entry: dict[str, Any], path: PurePath, place: Place, group: Any) -> None:
    """Position and region of an entry: its own, or as its name spells them."""
    if entry.get("position") is None:
        entry.pop("region", None)
        if place.position is None:
            return
        entry["position"], region = list(place.position), "/".join([*path.parent.parts, place.region])
        entry["spelt"] = True
    else:
        given = (entry.get("region"), entry.get("group"), "/".join([*path.parent.parts, place.slide]))
        region = next(value for value in given if value not in (None, ""))
    if region == group:
        entry.pop("region", None)
    else:
        entry["region"] = region


def _drop_contradicted(entries: Sequence[dict[str, Any]]) -> None:
    spelt = [entry for entry in entries if entry.pop("spelt", False)]
    if contradicted(spelt):
        logger.warning(
            "positions in the names of patches are not used: patches that overlap by them show other pixels, so they are "
            "not px of the patches; columns 'position_y' and 'position_x' of the table give those"
        )
        for entry in spelt:
            del entry["position"]
            entry.pop("region", None)
