"""Dataset facts: which tissues a dataset knows, their colours, and what white background means in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .arguments import arguments

__all__ = ["DATALIST_NAME", "DatasetFacts", "load_facts"]

#: File name of the datalist at the root of a prepared dataset.
DATALIST_NAME = "datalist.json"

_FALLBACK_PALETTE = (
    (205, 51, 51), (0, 160, 80), (65, 105, 225), (255, 165, 0), (148, 0, 211),
    (0, 190, 190), (230, 80, 160), (140, 110, 60), (120, 200, 60), (90, 90, 90),
)  # fmt: skip


@dataclass(frozen=True)
class DatasetFacts:
    """What every stage must know about a dataset, whatever its images.

    Args:
        classes: short class names in channel order; ``classes[k]`` is mask value ``k``.
        name: name of the dataset, for titles.
        palette: one ``(red, green, blue)`` in 0..255 per class; drawn from a default list where absent.
        white_background: whether white pixels are a background of their own. If so, they are painted
            :attr:`white_value` in pseudo masks and predictions; if not, they belong to a tissue (a gland's lumen, say).
        mpp: size of a pixel in µm/px, if known.
        descriptions: one long name per class, for legends; the class names where absent.
        patch_size: (height, width) in px of the patches that networks are trained on, if known.
        label_threshold: a class is in the label of a training patch if it fills more than this share of it, if known.
        published: published mIoU of some methods on this dataset, ``{method: [lowest, highest]}`` in percent.

    Raises:
        ValueError: no class, a repeated or empty class name, or a palette that does not fit.
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

    def __post_init__(self) -> None:
        classes = tuple(str(c) for c in self.classes)
        if not classes or len(set(classes)) != len(classes) or not all(classes):
            raise ValueError(f"classes: expected different, non-empty names, found {list(classes)}")
        palette = tuple(tuple(int(v) for v in colour) for colour in self.palette) or tuple(
            _FALLBACK_PALETTE[k % len(_FALLBACK_PALETTE)] for k in range(len(classes))
        )
        if len(palette) != len(classes) or any(len(c) != 3 or min(c) < 0 or max(c) > 255 for c in palette):
            raise ValueError(
                f"palette: expected one [red, green, blue] in 0..255 for each of {len(classes)} classes, "
                f"found {[list(c) for c in palette]}"
            )
        descriptions = tuple(str(d) for d in self.descriptions) or classes
        if len(descriptions) != len(classes):
            raise ValueError(f"descriptions: expected {len(classes)} names, found {list(descriptions)}")
        if len(classes) > 250:
            raise ValueError(f"classes: at most 250 fit a palette PNG, found {len(classes)}")
        patch = None if self.patch_size is None else tuple(int(v) for v in self.patch_size)
        if patch is not None and (len(patch) != 2 or min(patch) < 1):
            raise ValueError(f"patch_size: expected [height, width] in px, found {list(patch)}")
        if self.label_threshold is not None and not 0 <= self.label_threshold < 1:
            raise ValueError(f"label_threshold: expected a share in [0, 1), found {self.label_threshold}")
        published = {str(method): tuple(float(v) for v in values) for method, values in dict(self.published).items()}
        for method, values in published.items():
            if len(values) != 2 or not 0 <= values[0] <= values[1] <= 100:
                raise ValueError(
                    f"published: expected [lowest, highest] mIoU in percent for {method!r}, found {list(values)}"
                )
        normal = {
            "published": published,
            "classes": classes,
            "palette": palette,
            "descriptions": descriptions,
            "patch_size": patch,
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
        """The facts as plain JSON types."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, content: dict[str, Any], source: str = "facts", strict: bool = False) -> DatasetFacts:
        """Build facts from the keys of a datalist or of a dataset config.

        Args:
            content: mapping with at least ``classes``.
            source: file named in errors.
            strict: whether other keys are refused; left alone otherwise, as a datalist has more of them.

        Raises:
            ValueError: ``classes`` is missing, a value does not fit, or a key is no fact; the message names ``source``.
        """
        given = content if isinstance(content, dict) else {}
        if not strict:
            given = {k: v for k, v in given.items() if k in cls.__dataclass_fields__}
        try:
            known = arguments(cls, {k: v for k, v in given.items() if v is not None}, "dataset")
            if not known.get("classes"):
                raise ValueError("expected a 'classes' list of names, found none")
            return cls(**known)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{source}: {error}") from error


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
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not readable as JSON or YAML: {error}") from error
        section = content.get("dataset") if isinstance(content, dict) else None
        if isinstance(section, dict):
            return DatasetFacts.from_dict(section, source=str(path), strict=True)
        return DatasetFacts.from_dict(content, source=str(path))
    raise FileNotFoundError(f"no dataset facts: none of these exists: {', '.join(map(str, candidates))}")
