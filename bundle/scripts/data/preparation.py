"""What a dataset was prepared from: settings and the content of the files read, by which it is known again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.atomic import discard_unfinished, write_json
from ..core.facts import DATALIST_NAME
from ..core.file_states import FileStates
from ..core.images import IMAGE_SUFFIXES, suffix
from ..core.ranges import shown
from ..core.raw_files import data_file
from .convert import CONVERTED
from .staging import recover

__all__ = ["RECORD", "SourceState", "finish_interrupted", "made_before", "prepared", "write_record"]

logger = logging.getLogger(__name__)

RECORD = "prepare.json"
#: Content of each source file, by which a change is named; and what saves reading them again.
FILES, INDEX = "source_files.json", ".file_states.json"
#: Version of the preparation: counted up when another version makes something else of the same.
FORMAT = 1


class SourceState:
    """Content of the files that a preparation reads, by their names in the source.

    Args:
        files: the files by their names, which do not tell where the source is.
        index: see :class:`~scripts.core.file_states.FileStates`.
        progress: whether to show a progress bar.
    """

    def __init__(self, files: Mapping[str, Path], index: Path | None = None, progress: bool = True) -> None:
        self.states = FileStates(index)
        paths = dict(files)
        for name, path in files.items():
            if pixels := data_file(path):
                paths[f"{name} {pixels.name}"] = pixels
        contents, self.read = self.states.contents(list(paths.values()), progress)
        self.files = dict(sorted(zip(paths, contents, strict=True)))

    @property
    def digest(self) -> str:
        """SHA-256 of names and contents."""
        return hashlib.sha256(json.dumps(self.files).encode()).hexdigest()


def prepared(
    target: Path,
    settings: Mapping[str, Any],
    state: SourceState,
    source: Path,
    given: Mapping[str, Any],
    overwrite: bool,
) -> bool:
    """Whether the target is this very dataset already.

    Args:
        target: folder of the dataset.
        settings: what the result depends on beside the source.
        state: state of the source.
        source: the source itself, for datasets that version 0.5 prepared: one that it would have known is taken over.
        given: all settings, for these too.
        overwrite: whether another dataset may be replaced.

    Raises:
        FileExistsError: it is another one; the message says what changed.
    """
    record = _read(target / RECORD)
    if record is None and not (target / RECORD).exists():
        if (target / DATALIST_NAME).exists() and not overwrite:
            raise FileExistsError(
                f"{target} holds a datalist that was not made by prepare; choose another target, or set overwrite"
            )
        return False
    if not (target / DATALIST_NAME).is_file():
        return False
    settings = json.loads(json.dumps(settings))
    if record and "format" not in record and record == _record_of_0_5(source, given, record):
        with suppress(OSError):  # it stays as it is where nothing can be written
            write_record(target, settings, state, made_before(target))
        logger.info("%s was prepared by version 0.5 or before and is taken over", target)
        return True
    found = ["the record prepare.json cannot be read"] if record is None else _changes(target, record, settings, state)
    if found and not overwrite:
        raise FileExistsError(
            f"{target} was prepared before from other files or with other settings: {'; '.join(found)}. To replace it, set "
            "overwrite (--prepare#overwrite True); to keep it, choose another dataset_dir"
        )
    if found:
        logger.info("%s is replaced: %s", target, "; ".join(found))
        return False
    if state.read:
        with suppress(OSError):  # it saves reading the files again, where it can be written
            state.states.save()
    if record.get("skipped"):
        logger.warning("%s was prepared without these:\n%s", target, "\n".join(map(str, record["skipped"])))
    return True


def write_record(folder: Path, settings: Mapping[str, Any], state: SourceState, made: Sequence[str], **more: Any) -> None:
    """Write what a dataset was prepared from.

    Args:
        folder: folder of the dataset.
        settings: see :func:`prepared`.
        state: see there.
        made: names in the folder that were made.
        more: what was found meanwhile.
    """
    write_json(folder / FILES, state.files)
    state.states.save(folder / INDEX)
    names = sorted({*made, DATALIST_NAME, RECORD, FILES, INDEX})
    record = {"format": FORMAT, "settings": settings, "source": state.digest, **more, "made": names}
    write_json(folder / RECORD, record)


def made_before(target: Path) -> list[str]:
    """Names in a target that a preparation made."""
    record = _read(target / RECORD) or {}
    if "format" not in record:  # of version 0.5 or before
        rois = ["train", "train_mask", "val", "test"] if record.get("layout") == "rois" else []
        return [*rois, DATALIST_NAME, RECORD, FILES, INDEX]
    known = {"train", "train_mask", "val", "test", CONVERTED, DATALIST_NAME, RECORD, FILES, INDEX}
    return [name for name in record.get("made", []) if name in known]


def finish_interrupted(target: Path) -> None:
    """Finish or remove what a preparation that was killed has left of itself."""
    recover(target, DATALIST_NAME, RECORD)
    discard_unfinished(target)


def _changes(target: Path, record: Mapping[str, Any], settings: Mapping[str, Any], state: SourceState) -> list[str]:
    if "format" not in record:
        before = {k: v for k, v in record.items() if k != "source"}
        settings = {k: v for k, v in settings.items() if k in before}  # others did not exist
        before = {k: v for k, v in before.items() if k in settings}
        others = _other_settings(before, settings)
        return others or ["the source has other files, or files of other sizes"]
    if record["format"] != FORMAT:
        return [f"it is of format {record['format']}, this version makes format {FORMAT}"]
    found = _other_settings(record.get("settings") or {}, settings)
    if record.get("source") != state.digest:
        found += _other_files(_read(target / FILES) or {}, state.files)
    return found


def _record_of_0_5(source: Path, given: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The record that version 0.5 would make: it knew a source by its place, and by names and sizes."""
    digest = hashlib.sha256(str(source.absolute()).encode())
    for path in [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file()):
        if path.name not in (DATALIST_NAME, RECORD, ".lock"):
            digest.update(f"{path.relative_to(source) if path != source else ''}|{path.stat().st_size}".encode())
    known = {key: value for key, value in given.items() if key in record}
    return json.loads(json.dumps({**known, "source": digest.hexdigest()}))


def _other_settings(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs, setting by setting."""
    found = []
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and not prefix:
            found += _other_settings(old, new, f"{key}#")
        else:
            found.append(f"setting {prefix}{key} was {shown(old)}, is {shown(new)}")
    return found


def _other_files(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs: how many tables, images and masks, and the first few names."""
    kinds = {
        "changed": [n for n in now if n in before and before[n] != now[n]],
        "new": [n for n in now if n not in before],
        "gone": [n for n in before if n not in now],
    }
    found = []
    for word, names in kinds.items():
        images = [n for n in names if suffix(n) in IMAGE_SUFFIXES]
        masks = [n for n in images if "mask" in n.lower()]
        groups = {
            "file": [n for n in names if n not in images],
            "image": [n for n in images if n not in masks],
            "mask": masks,
        }
        text = []
        for kind, some in groups.items():
            if some:
                shortened = ", ".join(some[:3]) + (", ..." if len(some) > 3 else "")
                text.append(f"{len(some)} {kind}{'s' if len(some) > 1 else ''} ({shortened})")
        if text:
            found.append(f"{word}: {', '.join(text)}")
    return found or ["files of the source"]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
