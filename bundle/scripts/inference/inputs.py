"""Which images are segmented: of a folder, a list, or one, without the results of earlier runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..core.facts import DATALIST_NAME, load_facts
from ..core.geometry import as_mpp
from ..core.image_files import image_files
from ..core.images import IMAGE_SUFFIXES, suffix
from ..core.paths import shown
from ..core.processes import from_main, is_main, shared_out
from ..data.datalist import read_datalist
from ..data.tables import read_table
from .results import AREAS, Results, made_from

__all__ = ["Inputs", "inference_inputs", "is_written", "tabled_files"]

logger = logging.getLogger(__name__)

# files by which a folder is known as one that a stage has written, and ends of the pictures beside an image's areas
_RECORDS = ("stage.json", "fingerprint.txt")
_PICTURES = ("_mask", "_overlay", "_certainty")
_TABLES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Inputs:
    """What a run of inference works on.

    Args:
        entries: ``{"image": path, "entry": {"image": path, "name": unique name, "mpp": (y, x) where its list says it}}`` of
            each image that is still to be segmented.
        faults: a message for everything that was to be an image and is none.
    """

    entries: list[dict[str, Any]]
    faults: list[str]


def inference_inputs(source: str | Path | Sequence[str], folder: str | Path, fingerprint: str = "") -> Inputs:
    """Find the images to segment; of several processes each has its share of what the first one finds.

    Args:
        source: a folder (searched with its subfolders), an image, a ``datalist.json`` (its test section), a table with
            columns ``image`` (relative to it) and ``mpp``, or a list of images. What earlier runs have written into a folder
            is left out.
        folder: output folder; an image whose result is there is left out, so that a run can be continued, unless it is of
            another ``fingerprint``, or the file or its listed pixel size has changed since.
        fingerprint: identifies networks and settings, as :class:`SavePredictions` has it.

    Raises:
        FileNotFoundError: no such folder or file, or no image in it.
        FileExistsError: the result of another image would be overwritten.
        ValueError: a malformed list.
    """
    found = from_main(_found(source, folder, fingerprint) if is_main() else None)
    assert found is not None
    return replace(found, entries=shared_out(found.entries), faults=found.faults if is_main() else [])


def _found(source: str | Path | Sequence[str], folder: str | Path, fingerprint: str) -> Inputs:
    listed, faults = _listed(source, folder)
    there = {file: mpp for file, mpp in listed.items() if file.is_file()}
    faults += [f"{file}: no such file" for file in listed if file not in there]
    if not there:
        found = f"; {faults[0]}" if faults else f", expected files {', '.join(IMAGE_SUFFIXES)}"
        raise FileNotFoundError(shown(f"{source}: found no image to segment{found}"))
    results = Results(folder)
    finished = {row["made_from"] for row in results.of(fingerprint).values()}
    entries = []
    for (file, mpp), name in zip(there.items(), results.names(list(there)), strict=True):
        entry = {"image": str(file), "name": name, **({} if mpp is None else {"mpp": mpp})}
        if made_from(entry) not in finished:
            entries.append({"image": str(file), "entry": entry})
    if len(entries) < len(there):
        logger.info("%d of %d images have been segmented before", len(there) - len(entries), len(there))
    return Inputs(entries, [shown(fault) for fault in faults])


def _listed(
    source: str | Path | Sequence[str], folder: str | Path
) -> tuple[dict[Path, tuple[float, float] | None], list[str]]:
    """Each file once, with its pixel size where the list says it; and faults."""
    if not isinstance(source, (str, Path)):
        return _once((Path(file), None) for file in source), []
    path = Path(source)
    if path.is_dir():
        files, faults = image_files(path, recursive=True, leave_out=[folder])
        if (path / DATALIST_NAME).is_file():
            logger.warning(
                "%s: is a prepared dataset, of which every image is segmented, masks too; name its %s for the test images",
                shown(path),
                DATALIST_NAME,
            )
        written = cache(is_written)
        images = [f for f in files if not _is_result(f, path, written)]
        if len(images) < len(files):
            logger.info("%s: %d files that earlier runs wrote are left out", shown(path), len(files) - len(images))
        return dict.fromkeys(images), faults
    if path.suffix == ".json":
        rows = read_datalist(path, "test", require=("image",))
        common = load_facts(path).mpp
        return _once((Path(row["image"]), _listed_mpp(row, common, path)) for row in rows), []
    if not path.is_file():
        raise FileNotFoundError(shown(f"{path}: no such file or folder, expected images to segment"))
    if suffix(path) in _TABLES:
        return _once((image, mpp) for _, image, mpp in tabled_files(path, "image")), []
    if suffix(path) not in IMAGE_SUFFIXES:
        raise ValueError(
            shown(f"{path}: expected a folder, a datalist.json, a table (.csv) or an image ({', '.join(IMAGE_SUFFIXES)})")
        )
    return {path: None}, []


def tabled_files(path: Path, column: str) -> Iterator[tuple[str, Path, tuple[float, float] | None]]:
    """Place in the table, file and pixel size of each row of a table; columns but that of files and ``mpp`` may be there.

    Raises:
        ValueError: a row names no file, or its ``mpp`` is no pixel size.
    """
    table = read_table(path, column)
    columns = [name.lower() for name in table.columns]
    for line, cells in table.rows:
        row = dict(zip(columns, cells, strict=True))
        where = f"{path}, line {line}"
        if not row[column]:
            raise ValueError(f"{where}: names no {column}")
        size: Any = row.get("mpp") or None
        with suppress(AttributeError, ValueError):
            size = float(size.replace(",", "."))
        yield where, path.parent / row[column], None if size is None else as_mpp(size, f"{where}, column mpp")


def _listed_mpp(row: Mapping[str, Any], common: float | None, path: Path) -> tuple[float, float] | None:
    mpp = common if row.get("mpp") is None else row["mpp"]
    return None if mpp is None else as_mpp(mpp, f"{path}: mpp of {row['image']}")


def _once(files: Iterable[tuple[Path, tuple[float, float] | None]]) -> dict[Path, tuple[float, float] | None]:
    """An image that is listed more than once is segmented once.

    Raises:
        ValueError: it is listed with different pixel sizes.
    """
    found: dict[str, tuple[Path, tuple[float, float] | None]] = {}
    for file, mpp in files:
        first = found.setdefault(os.path.realpath(file), (file, mpp))
        if first[1] != mpp:
            raise ValueError(shown(f"{file}: is listed twice, with mpp {first[1]} and {mpp}"))
    return dict(found.values())


def _is_result(file: Path, root: Path, written: Callable[[Path], bool]) -> bool:
    """Whether a file of a folder is what an earlier run has written: of a stage, of MLflow, or beside its areas."""
    stem = file.name[: len(file.name) - len(suffix(file))]
    for end in _PICTURES:
        if stem.endswith(end) and (file.parent / f"{stem.removesuffix(end)}{AREAS}").is_file():
            return True
    above = list(file.relative_to(root).parents)[:-1]  # the folder itself is what was asked for
    return any(written(root / part) for part in above)


def is_written(folder: Path) -> bool:
    """Whether a folder is one that a stage, or MLflow, has written."""
    if any((folder / name).is_file() for name in _RECORDS):
        return True
    return folder.name == "mlruns" and (folder.parent / "mlruns.db").is_file()
