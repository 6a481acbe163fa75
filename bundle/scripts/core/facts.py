"""Dataset facts: which tissues a dataset knows, their colours, and what white background means in it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .arguments import arguments, to_switch
from .default_palette import DEFAULT_PALETTE
from .ranges import MPP, PATCH_SIDE, PERCENT, PROBABILITY, Number, shown

__all__ = ["DATALIST_NAME", "DatasetFacts", "load_facts"]

#: File name of the datalist at the root of a prepared dataset.
DATALIST_NAME = "datalist.json"

_COLOUR = Number(0, 255, whole=True)
_MASK_VALUE = Number(0, 2**31 - 1, whole=True)
_LENGTH = 100  # characters of a name


@dataclass(frozen=True)
class DatasetFacts:
    """What every stage must know about a dataset, whatever its images.

    Args:
        classes: short class names in channel order; ``classes[k]`` is mask value ``k``. At most 250, of at most 100
            characters; blanks around a name are dropped, and names must differ in more than blanks.
        name: name of the dataset, for titles.
        palette: one ``(red, green, blue)`` in 0..255 per class; drawn from a default list where absent.
        white_background: whether white pixels are a background of their own. If so, they are painted
            :attr:`white_value` in pseudo masks and predictions; if not, they belong to a tissue (a gland's lumen, say).
        mpp: size of a pixel in µm/px, 0.01 to 100, if known.
        descriptions: one long name per class, for legends; the class names where absent.
        patch_size: (height, width) in px of the patches that networks are trained on, 8 to 4096 each, if known.
        label_threshold: a class is in the label of a training patch if it fills more than this share of it, if known.
        published: published mIoU of some methods on this dataset, ``{method: [lowest, highest]}`` in percent.
        mask_values: what the values of masks mean that are not class indices, ``{value: class name, or None}``; ``None``:
            not annotated. Masks of a prepared dataset are class indices, so only raw data have it.

    Raises:
        ValueError: a value of another type or out of its range; the message names the fact.
    """

    classes: tuple[str, ...]
    name: str = "dataset"
    palette: tuple[tuple[int, int, int], ...] = ()
    white_background: bool = False
    mpp: float | None = None
    descriptions: tuple[str, ...] = field(default=())
    patch_size: tuple[int, int] | None = None
    label_threshold: float | None = None
    published: Mapping[str, Sequence[float]] = field(default_factory=dict)
    mask_values: Mapping[int, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        classes = _names(self.classes, "classes")
        count = len(classes)
        if count > 250:
            raise ValueError(f"classes: at most 250 fit a palette PNG, found {count}")
        if len({"".join(c.split()) for c in classes}) != count:
            raise ValueError(f"classes: expected names that differ in more than blanks, found {shown(list(classes))}")
        if self.mpp is not None:
            MPP.check(self.mpp, "mpp")
        if self.label_threshold is not None:
            PROBABILITY.check(self.label_threshold, "label_threshold")
        patch_size = self.patch_size
        if patch_size is not None:
            patch_size = tuple(int(v) for v in PATCH_SIDE.check_all(patch_size, "patch_size, (height, width)", 2))
        normal = {
            "name": _text(self.name, "name"),
            "classes": classes,
            "palette": _palette(self.palette, count),
            "white_background": _switch(self.white_background),
            "descriptions": _names(self.descriptions, "descriptions", count) or classes,
            "patch_size": patch_size,
            "published": _published(self.published),
            "mask_values": _mask_values(self.mask_values, classes),
        }
        for key, value in normal.items():
            object.__setattr__(self, key, value)

    @property
    def num_classes(self) -> int:
        """Number of tissue classes, white background not counted."""
        return len(self.classes)

    @property
    def white_value(self) -> int:
        """Mask value that is no tissue (white background, or not annotated): the number of classes.

        Metrics and losses ignore it in every dataset.
        """
        return len(self.classes)

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain JSON types; ``mask_values`` only where there are some."""
        content = json.loads(json.dumps(asdict(self)))
        return {key: value for key, value in content.items() if value or key != "mask_values"}

    @classmethod
    def from_dict(cls, content: dict[str, Any], source: str = "facts", strict: bool = False) -> DatasetFacts:
        """Build facts from the keys of a datalist or of a dataset config.

        Args:
            content: mapping with at least ``classes``.
            source: file named in errors.
            strict: whether other keys are refused; left alone otherwise, as a datalist has more of them.

        Raises:
            ValueError: no mapping, no ``classes``, a value that does not fit, or a key that is no fact; the message names
                ``source``.
        """
        if not isinstance(content, Mapping):
            raise ValueError(f"{source}: found {shown(content)}, expected facts by their names: classes, palette, mpp, ...")
        given = {k: v for k, v in content.items() if v is not None and (strict or k in cls.__dataclass_fields__)}
        try:
            known = arguments(cls, given, "dataset")
            if "classes" not in known:
                raise ValueError("expected a 'classes' list of names, found none")
            return cls(**known)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{source}: {error}") from error


def _switch(value: Any) -> bool:
    try:
        return to_switch(value)
    except ValueError as error:
        raise ValueError(f"white_background: {error}") from error


def _list(value: Any, where: str, what: str) -> list[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise ValueError(f"{where}: found {shown(value)}, expected {what}")
    return list(value)


def _text(value: Any, where: str) -> str:
    """A text that pictures, tables and pages can show."""
    if not isinstance(value, str):
        raise ValueError(f"{where}: found {shown(value)}, expected a text; write it in quotes")
    text = value.strip()
    if len(text) > _LENGTH or any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise ValueError(f"{where}: found {shown(value)}, expected at most {_LENGTH} characters in one line")
    return text


def _names(value: Any, where: str, count: int | None = None) -> tuple[str, ...]:
    """Non-empty names; ``count`` of them or none, where it is given."""
    what = "a list of names" if count is None else f"a list of {count} names"
    names = tuple(_text(item, where) for item in _list(value, where, what))
    if not all(names) or (len(names) != count if count and names else not (count or names)):
        raise ValueError(f"{where}: found {shown(list(names))}, expected {what}, none of them empty")
    return names


def _palette(value: Any, count: int) -> tuple[tuple[int, int, int], ...]:
    what = f"one [red, green, blue] of whole numbers in 0..255 for each of {count} classes"
    colours = _list(value, "palette", what) or [DEFAULT_PALETTE[k % len(DEFAULT_PALETTE)] for k in range(count)]
    if len(colours) != count:
        raise ValueError(f"palette: found {len(colours)} colours, expected {what}")
    checked = [_COLOUR.check_all(colour, f"palette, colour {k}", 3) for k, colour in enumerate(colours)]
    return tuple(tuple(int(v) for v in colour) for colour in checked)


def _published(value: Any) -> dict[str, tuple[float, ...]]:
    if not isinstance(value, Mapping):
        raise ValueError(f"published: found {shown(value)}, expected {{method: [lowest, highest]}}")
    found = {}
    for method, range_ in value.items():
        low, high = PERCENT.check_all(range_, f"published, {shown(method)}", 2)
        if low > high:
            raise ValueError(f"published, {shown(method)}: found {shown(range_)}, expected the lowest mIoU first")
        found[_text(method, "published")] = float(low), float(high)
    return found


def _mask_values(value: Any, classes: Sequence[str]) -> dict[int, str | None]:
    if not isinstance(value, Mapping):
        raise ValueError(f"mask_values: found {shown(value)}, expected {{value: class, or null where not annotated}}")
    found: dict[int, str | None] = {}
    for key, name in value.items():
        number = int(key) if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 10 else key
        _MASK_VALUE.check(number, "mask_values, a value")
        name = name.strip() if isinstance(name, str) else name
        if name is not None and name not in classes:
            raise ValueError(
                f"mask_values, value {number}: found {shown(name)}, expected one of {shown(list(classes))}, or null for "
                "not annotated"
            )
        if number in found:
            raise ValueError(f"mask_values: the value {number} stands twice")
        found[int(number)] = name
    if found and not any(found.values()):
        raise ValueError(f"mask_values: found {shown(found)}, which names no class")
    return dict(sorted(found.items()))


def check_facts(content: Mapping[str, Any]) -> None:
    """Check facts of which others may follow, such as classes that the columns of a table name.

    Args:
        content: some of the facts by their names; names that are no fact are left alone.

    Raises:
        ValueError: a value that does not fit; the message begins with the fact.
    """
    given = {k: v for k, v in content.items() if v is not None and k in DatasetFacts.__dataclass_fields__}
    if "classes" not in given:  # what cannot be judged without them
        given = {k: v for k, v in given.items() if k not in ("palette", "descriptions", "mask_values")}
    DatasetFacts(**{"classes": ["any"], **given})


def load_facts(*candidates: str | Path) -> DatasetFacts:
    """Read facts from the first of the files that exists.

    Args:
        candidates: a folder with a ``datalist.json``, a ``.json`` file (datalist, or ``classes.json`` beside the
            weights), or a ``.yaml`` dataset config whose ``dataset`` section holds the facts.

    Raises:
        FileNotFoundError: none exists.
        ValueError: the file is not what it should be.
    """
    for candidate in map(Path, candidates):
        path = candidate / DATALIST_NAME if candidate.is_dir() else candidate
        if not path.is_file():
            continue
        content = _read(path)
        section = content.get("dataset") if isinstance(content, dict) else None
        if isinstance(section, dict):
            return DatasetFacts.from_dict(section, source=str(path), strict=True)
        return DatasetFacts.from_dict(content, source=str(path))
    raise FileNotFoundError(
        f"no dataset facts: none of these exists: {', '.join(map(str, candidates))}; name a prepared dataset or a dataset "
        "file"
    )


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except RecursionError as error:
        raise ValueError(f"{path}: lists and mappings within each other, deeper than any dataset's") from error
    except (yaml.YAMLError, ValueError) as error:  # JSON, UTF-8, or a number or date that is none
        raise ValueError(f"{path}: not readable as JSON or YAML: {error}") from error
