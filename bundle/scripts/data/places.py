"""What the name of a patch says: the slide or case that it is from, and its place there.

Taking apart what belongs together is the worse error: a network is then scored on tissue that it was trained on. So a name's
parts are taken for a patch's number or place wherever they look like that, and what is left is the group.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["Place", "place_by_name", "places_by_name"]

_LABEL = re.compile(r"[\s_+-]*\[[01][01\s,]*\]\s*$")
# QuPath's export of tiles: [d=2,x=1024,y=0,w=512,h=512], px of the slide; without d, of the tile
_QUPATH = re.compile(r"[\s_-]*\[(?P<terms>(?:[a-z]=[\d.]+,?)*x=[\d.]+,y=[\d.]+(?:,[a-z]=[\d.]+)*)\]")
_PATIENT = re.compile(r"(?<![A-Za-z0-9])TCGA[-_.]([A-Z0-9]{2})[-_.]([A-Z0-9]{4})(?![A-Za-z0-9])", re.I)
_CASE = re.compile(r"(?<![A-Za-z0-9])(?:patient|case|subject|donor)[-_ ]?\d+(?![A-Za-z0-9])", re.I)
# what stands for a place in the region, or a number in a series, behind the name of the slide
_AXES = "x|y|z|xmin|ymin|xmax|ymax|xs|ys|row|col|column|r|c|w|h|width|height|mpp|mag|level|lvl|ds|scale|size"
_SERIES = "patch|tile|crop|p|t|img|image|roi|region|block|idx|index|class|no|nr|num|part|sub|aug|rot|flip"
_TERM = (
    r"[-_ +.,]+(?:(?:{words})[-_=]?\d+(?:\.\d+)?|\d+(?:\.\d+)?(?:x|px|um|mpp)|\d+x\d+|\(\d+[,;_x ]+\d+\)"
    r"|x[-_=]?\d+y[-_=]?\d+|y[-_=]?\d+x[-_=]?\d+|(?:r|row)\d+(?:c|col)\d+|(?:c|col)\d+(?:r|row)\d+|i\d+[-_ ]*j\d+)"
)
# of copies that were made of a patch
_COPIES = "[hv]?[-_]?flip(?:ped)?|mirror(?:ed)?|rotated|copy|aug(?:mented)?|norm(?:ali[sz]ed)?"
_COPY = re.compile(rf"(?:[-_ +.,]+(?:{_COPIES}))+$", re.I)
_PLACE = re.compile(rf"^(.+?)(?:{_TERM.format(words=f'{_AXES}|{_SERIES}')})+$", re.I)
_BARE_PLACE = re.compile(
    r"^(?:(?:x|c|col)[-_=]?\d+[-_ +.,]*(?:y|r|row)|(?:y|r|row)[-_=]?\d+[-_ +.,]*(?:x|c|col))[-_=]?\d+$", re.I
)
_SAME = re.compile(r"(?:[-_ +.,]\d+)+$")
_TWO = re.compile(r".[-_ +.,]\d+[-_ +.,]\d+$")
_PAIR = re.compile(r"^(.+?)([-_ +.,])\d+\2\d+$")
_NUMBER = re.compile(r"^(.*[^-_ +.,])(?:[-_ +.,]+\d+| ?\(\d+\))$")
_IDENTITY = re.compile(rf"(?:^|[-_ +.,])(?:slide|wsi|sample|biopsy|section|train|training|val|test|{_SERIES})$", re.I)
_X_THEN_Y = re.compile(r"(?<![A-Za-z0-9])x[-_=]?(\d+)[-_ +.,]*y[-_=]?(\d+)(?![A-Za-z0-9])", re.I)
_Y_THEN_X = re.compile(r"(?<![A-Za-z0-9])y[-_=]?(\d+)[-_ +.,]*x[-_=]?(\d+)(?![A-Za-z0-9])", re.I)


@dataclass(frozen=True)
class Place:
    """What the name of a patch says.

    Args:
        group: patient or case where the name has such a number, or else the slide; empty where a name is a place alone.
        slide: the name without what stands for a place or a patch's number.
        region: what a position is counted in: the name without the position.
        position: y and x in px, where the name spells both.
        sure: whether more than a single number was told from the group.
    """

    group: str
    slide: str
    region: str
    position: tuple[int, int] | None = None
    sure: bool = True


def place_by_name(name: str) -> Place:
    """Group, region and position by a patch's name.

    Args:
        name: file name without suffix; a label at its end does not count.
    """
    stem = _stem(name)
    position, region = _position(stem)
    sure = True
    if _QUPATH.search(stem):
        group = region
    elif _BARE_PLACE.match(stem):
        group = ""
    elif found := _PLACE.match(stem) or _PAIR.match(stem):
        group = found[1]
    else:
        found, sure = _NUMBER.match(stem), False
        group = found[1] if found and not _IDENTITY.search(found[1]) else stem
    slide = group
    if found := _PATIENT.search(stem):
        group, sure = f"TCGA-{found[1]}-{found[2]}".upper(), True
    elif found := _CASE.search(stem):
        group, sure = stem[: found.end()], True
    return Place(group, slide, region, position, sure)


def places_by_name(names: Sequence[str]) -> list[Place]:
    """Group, region and position of each patch by the names of all.

    Where a single number is all that tells names apart (``scan_1``, ``scan_2``), it is not a patch's number in a slide:
    each patch is then a group of its own. Numbers behind two others that are the same in all names, as the size of a tile
    is, say nothing.
    """
    stems = [_stem(name) for name in names]
    if stems and (found := _SAME.search(stems[0])) and len(stems) > 1:
        ends = [found[0][k:] for k, c in enumerate(found[0]) if not c.isdigit() and (not k or found[0][k - 1].isdigit())]
        rests = ([stem.removesuffix(end) for stem in stems] for end in ends if all(s.endswith(end) for s in stems))
        names = next((rest for rest in rests if all(map(_TWO.search, rest))), names)
    places = [place_by_name(name) for name in names]
    if len({place.group for place in places}) == 1 and not any(place.sure for place in places):
        return [replace(place, group=stem, slide=stem) for stem, place in zip(stems, places, strict=True)]
    return places


def _stem(name: str) -> str:
    """A name without the label at its end, and without what tells a copy of the patch from the patch."""
    stem = _LABEL.sub("", _COPY.sub("", name)).strip() or name
    return _COPY.sub("", stem) or stem


def _position(stem: str) -> tuple[tuple[int, int] | None, str]:
    """Position (y, x) that a name spells, if it does, and the rest of the name."""
    if found := _QUPATH.search(stem):
        rest = f"{stem[: found.start()]}{stem[found.end() :]}".strip()
        terms = {key: float(value) for key, value in (term.split("=") for term in found["terms"].split(","))}
        y, x = (terms[key] / (terms.get("d") or 1) for key in ("y", "x"))
        return ((int(y), int(x)) if y.is_integer() and x.is_integer() else None), rest
    for pattern, (y, x) in ((_X_THEN_Y, (2, 1)), (_Y_THEN_X, (1, 2))):
        if found := pattern.search(stem):
            return (int(found[y]), int(found[x])), f"{stem[: found.start()]}{stem[found.end() :]}".strip("-_ +.,")
    return None, stem
