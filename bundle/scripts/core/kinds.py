"""What a setting may be, in one place: kinds of values, and the ranges of the settings by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, Protocol

from .ranges import MPP, PATCH_SIDE, PROBABILITY, TEMPERATURE, WINDOW_SCALE, Number, shown

__all__ = ["SETTINGS", "Either", "Kind", "Listed", "Text", "kind_of", "setting_kind"]


class Kind(Protocol):
    """What a value may be; its text says it in words."""

    def fit(self, value: Any) -> Any:
        """The value as it is meant.

        Raises:
            ValueError: it is none of this kind; the message says what was found and what is expected.
        """


@dataclass(frozen=True)
class Text:
    """A text, such as a path or a name; a whole number is taken for one, as the command line reads ``2024`` as a number.

    Args:
        choices: what it may be; anything by default.
        word: what it is, for messages.
    """

    choices: tuple[str, ...] = ()
    word: str = "a text"

    def __str__(self) -> str:
        return f"one of {', '.join(self.choices)}" if self.choices else self.word

    def fit(self, value: Any) -> str:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        text = fspath(text) if isinstance(text, PathLike) else text
        if not isinstance(text, str):
            hint = f"; a number is one in two pairs of quotes: \"'{value}'\"" if isinstance(value, float) else ""
            raise ValueError(f"found {shown(value)}, expected {self}{hint}")
        if self.choices and text not in self.choices:
            raise ValueError(f"found {shown(text)}, expected {self}")
        if not text or "\0" in text:
            raise ValueError(f"found {shown(text)}, expected {self}, not empty and without \\0")
        return text


@dataclass(frozen=True)
class Listed:
    """A list.

    Args:
        of: what each of its values may be; ``None``: anything.
        count: how many there must be; ``None``: any number.
        most: how many there may be.
        empty: whether there may be none.
    """

    of: Kind | None = None
    count: int | None = None
    most: int | None = None
    empty: bool = False

    def __str__(self) -> str:
        number = f"a list of {self.count}" if self.count else f"a list of up to {self.most}" if self.most else "a list"
        return number if self.of is None else f"{number}, each {self.of}"

    def fit(self, value: Any) -> list[Any]:
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            hint = f"; write [{', '.join([str(value)] * (self.count or 1))}]"
            plain = isinstance(value, (str, int, float)) and len(hint) < 80
            raise ValueError(f"found {shown(value)}, expected {self}{hint if plain else ''}")
        right = len(value) == self.count if self.count else len(value) <= (self.most or len(value))
        if not right or not (value or self.empty):
            raise ValueError(f"found {shown(value)}, expected {self}")
        try:
            return [item if self.of is None else self.of.fit(item) for item in value]
        except ValueError as error:
            raise ValueError(f"found {shown(value)}, expected {self}") from error


@dataclass(frozen=True)
class Either:
    """One of several kinds.

    Args:
        kinds: the kinds, the first that fits being taken.
        none: whether ``None`` is one too.
    """

    kinds: tuple[Kind, ...]
    none: bool = False

    def __str__(self) -> str:
        return ", or ".join([*map(str, self.kinds), *(["None"] if self.none else [])])

    def fit(self, value: Any) -> Any:
        if value is None and self.none:
            return None
        for kind in self.kinds:
            try:
                return kind.fit(value)
            except ValueError:
                continue
        raise ValueError(f"found {shown(value)}, expected {self}")


def _or_none(*kinds: Kind) -> Either:
    return Either(kinds, none=True)


_TEXT, _PATH = Text(), Text(word="a path")
_COUNT, _SHARE, _POSITIVE = Number(1, whole=True), Number(0, 1), Number(0, above=True)
_WHOLE, _NOT_NEGATIVE = Number(0, whole=True), Number(0)
_SIZE = Listed(PATCH_SIDE, count=2)

#: Kinds of settings by their ids, the same in all configs, or by ``config:id``. The default says it of all others.
SETTINGS: dict[str, Kind] = {
    **dict.fromkeys(("bundle_root", "dataset_dir", "output_dir", "model_dir", "pseudo_mask_dir", "report_dir"), _PATH),
    "inference:dataset_dir": Either((_PATH, Listed(_PATH))),
    "upgrade:output_dir": _or_none(_PATH),
    **dict.fromkeys(("source", "output", "initial_weights"), _or_none(_PATH)),
    **dict.fromkeys(("import_checkpoint:classifier", "import_checkpoint:segmenter"), _or_none(_PATH)),
    **dict.fromkeys(("parent_run", "recipe", "initial_hash", "keep"), _or_none(_TEXT)),
    "demo:source": _PATH,
    "package:name": _TEXT,
    **dict.fromkeys(("doctor:model_dir", "doctor:dataset_dir", "track:model_dir"), _or_none(_PATH)),
    **dict.fromkeys(("doctor:tracking_uri", "track:register"), _or_none(_TEXT)),
    **dict.fromkeys((f"package:{key}" for key in ("version", "change", "data_license", "large_files_url")), _or_none(_TEXT)),
    "package:metrics": _or_none(_PATH),
    "own": _or_none(_PATH, Listed(_PATH)),
    "initial_kind": Text(("deeplab", "resnet101")),
    "section": Text(("training", "validation", "test")),
    "temperature": TEMPERATURE,
    "quality": Text(("recorded", "fast", "best")),
    "output_format": Text(("png", "nii.gz", "nrrd")),
    "export_dir": _PATH,
    "export:dataset_dir": _or_none(_PATH),
    "form": Text(("pytorch", "torchscript", "onnx", "onnx_int8")),
    "forms": Listed(Text(("torchscript", "onnx", "onnx_int8", "bioimageio", "wsinfer", "monai_deploy"))),
    "graphs": Listed(Text(("segmenter", "classifier", "gated"))),
    **dict.fromkeys(("num_patches", "num_calibration"), _COUNT),
    "providers": _or_none(Listed(_TEXT)),
    **dict.fromkeys(("label:source", "suggest:source", "annotation_cost:labels"), _or_none(_PATH, Listed(_PATH))),
    "label_dir": _PATH,
    "suggest:dataset_dir": _or_none(_PATH),
    "tables": _or_none(Listed(_PATH)),
    "classes": _or_none(_TEXT, Listed(_TEXT)),
    **dict.fromkeys(("label:patch_size",), _or_none(_SIZE)),
    **dict.fromkeys(("count", "most"), _COUNT),
    "min_tissue": PROBABILITY,
    "group": _or_none(_TEXT),
    "context": Number(1, 9),
    "repeat": _WHOLE,
    "slides": Either((_PATH, Listed(_PATH))),
    "tissue": _TEXT,
    "least_tissue": PROBABILITY,
    "damaged": Text(("paint", "fail")),
    "simplify": Number(0, 100, unit="px"),
    **dict.fromkeys(("shard", "scheduler"), _or_none(_TEXT)),
    "engine": Text(("process", "dask")),
    "workers": _COUNT,
    **dict.fromkeys(("seed", "holdout_seed", "prepare:seed"), Number(0, 2**32 - 1, whole=True)),
    **dict.fromkeys(("max_epochs", "batch_size", "val_interval"), _COUNT),
    **dict.fromkeys(("epoch_size", "patience", "threads"), _or_none(_COUNT)),
    "num_workers": Number(0, 256, whole=True),
    **dict.fromkeys(("cache_num", "gallery", "num_val", "num_test"), _WHOLE),
    "num_train": _COUNT,
    "pda_start_epoch": _or_none(_WHOLE),
    "learning_rate": _POSITIVE,
    **dict.fromkeys(("weight_decay", "ema_epochs", "subcategory_weight"), _NOT_NEGATIVE),
    "pda_decay": Number(0, 1, above=True),
    **dict.fromkeys(("pda_floor", "cutmix", "masker#share_prior", "masker#context"), _SHARE),
    **dict.fromkeys(("holdout", "overlap"), PROBABILITY),
    "gate_threshold": Either((PROBABILITY, Listed(PROBABILITY))),
    **dict.fromkeys(("train_classifier:gate_threshold", "import_checkpoint:gate_threshold"), PROBABILITY),
    "gate_missed": _or_none(PROBABILITY),
    **dict.fromkeys(("self_training#weight", "self_training#full", "self_training#min_share"), _SHARE),
    "self_training#start": PROBABILITY,
    "self_training#prior": _NOT_NEGATIVE,
    **dict.fromkeys(("stain#scale", "stain#brightness"), PROBABILITY),
    "stain#shift": _SHARE,
    "masker#refinement#appearance": _NOT_NEGATIVE,
    **dict.fromkeys(("scales", "window_scales", "inference#window_scales"), Listed(WINDOW_SCALE, most=16)),
    "layers": _or_none(Listed(_TEXT)),
    "train:layers": Listed(_TEXT),
    "layer_weights": Listed(_NOT_NEGATIVE),
    "consensus": _or_none(Listed(_NOT_NEGATIVE)),
    "cluster_epochs": Listed(_COUNT),
    "stages": Listed(_TEXT),
    **dict.fromkeys(("mpp", "model_mpp"), _or_none(MPP, Listed(MPP, count=2))),
    **dict.fromkeys(("value_range", "prepare:value_range"), _or_none(Listed(Number(), count=2))),
    "patch_size": _SIZE,
    "demo:patch_size": Number(32, PATCH_SIDE.high, whole=True, unit="px"),
    **dict.fromkeys(("seconds_per_patch", "seconds_per_mm"), _or_none(_POSITIVE)),
    # of the preparation
    "prepare:patch_size": Either((PATCH_SIDE, _SIZE)),
    "prepare:stride": _or_none(_COUNT),
    "prepare:scale": Number(0.01, 100),
    "prepare:label_threshold": PROBABILITY,
    **dict.fromkeys(("prepare:val_fraction", "prepare:test_fraction", "prepare:min_tissue"), PROBABILITY),
    "prepare:min_cover": _SHARE,
    "prepare:unnamed": Text(("unknown", "absent")),
    **dict.fromkeys(("prepare:labels", "prepare:group"), _or_none(_TEXT)),
    **dict.fromkeys(("prepare:layout", "prepare:image_folder", "prepare:mask_folder"), _TEXT),
}


def setting_kind(owner: str, id: str) -> Kind | None:
    """Kind of a setting of a config, or of the preparation; ``None`` where only its default says it."""
    return SETTINGS.get(f"{owner}:{id}", SETTINGS.get(id))


def kind_of(default: Any) -> Kind | None:
    """Kind of a value whose default is known; ``None`` where that says nothing."""
    if default is None or isinstance(default, bool):
        return None
    if isinstance(default, int):
        return Number(whole=True)
    if isinstance(default, float):
        return Number()
    if isinstance(default, str):
        return Text()
    if isinstance(default, list):
        kinds = {type(kind_of(item)): kind_of(item) for item in default}
        if set(kinds) == {Number}:
            return Listed(Number(), empty=True)
        return Listed(Text() if set(kinds) == {Text} else None, empty=True)
    return None
