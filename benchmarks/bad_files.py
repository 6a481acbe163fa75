"""Tables, datalists, settings and archives with drawn damage."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from bad_states import damaged_state
from bad_weights import damaged_description, damaged_parameters, damaged_tensor, damaged_weights
from damage import Case, damaged_bytes, replaced
from PIL import Image
from scripts.core.facts import DatasetFacts, load_facts
from scripts.core.paths import BUNDLE_ROOT
from scripts.core.recipes import config_files
from scripts.core.settings import checked_overrides
from scripts.data.archives import unpack
from scripts.data.datalist import read_datalist
from scripts.data.prepare import prepare

__all__ = ["damaged_files"]

FACTS = DatasetFacts(classes=("gland", "stroma"), name="drawn", mpp=0.5, patch_size=(32, 32), label_threshold=0.05)
CONFIGS = ("train_classifier", "generate_pseudo_masks", "train", "evaluate", "inference", "pipeline", "demo")


def damaged_files(rng: np.random.Generator, count: int) -> Iterator[Case]:
    """``count`` cases, of every kind in turn."""
    kinds = (
        _table, _datalist, _dataset_file, _setting, _archive,
        damaged_description, damaged_tensor, damaged_weights, damaged_parameters, damaged_state,
    )  # fmt: skip
    for number in range(count):
        yield kinds[number % len(kinds)](np.random.default_rng(int(rng.integers(2**31))))


def _case(kind: str, damage: str, name: str, content: bytes, read: Callable, truth: Any, noticeable: bool) -> Case:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return Case(kind, damage, write, read, truth, noticeable)


def _table(rng: np.random.Generator) -> Case:
    """A table of labels: cells, encodings, bytes."""
    rows = [["image", "gland", "stroma"], *([f"p{k}.png", str(k % 2), "1"] for k in range(12))]
    truth = {row[0]: [int(v) for v in row[1:]] for row in rows[1:]}
    encoding, separator = "utf-8", ","
    match int(rng.integers(6)):
        case 0:
            row, column = int(rng.integers(1, len(rows))), int(rng.integers(1, 3))
            cells = ["2", "-1", "0.5", "maybe", "nan", "1 1", "x" * 200_000, "1\0", '"', "[1]", "١"]
            rows[row][column] = cells[int(rng.integers(len(cells)))]
            damage, truth = f"cell {rows[row][column]!r:.20}", None
        case 1:
            rows[3][0], rows[3][1] = rows[2][0], "0" if rows[2][1] == "1" else "1"
            damage, truth = "an image twice, with other labels", None
        case 2:
            encoding = ("utf-8-sig", "utf-16", "cp1252")[int(rng.integers(3))]
            separator = (",", ";", "\t")[int(rng.integers(3))]
            rows[5][0] = "Gewebe-äß.png"
            damage, truth = f"{encoding} {separator!r}", {row[0]: [int(v) for v in row[1:]] for row in rows[1:]}
        case 3:
            rows[0][int(rng.integers(1, 3))] = ("gland", "stroma")[int(rng.integers(2))]
            damage = f"header {rows[0]}"
            truth = truth if rows[0] == ["image", "gland", "stroma"] else None
        case 4:
            rows[int(rng.integers(1, len(rows)))].append("7")
            damage, truth = "a cell more", None
        case _:
            text = "\n".join(",".join(row) for row in rows) + "\n"
            damage, content = damaged_bytes(text.encode(), rng)
            return _table_case(damage, [row[0] for row in rows[1:]], content, truth, noticeable=False)
    content = "\n".join(separator.join(row) for row in rows).encode(encoding)
    return _table_case(damage, [row[0] for row in rows[1:]], content, truth, noticeable=True)


def _table_case(damage: str, images: list[str], content: bytes, truth: Any, noticeable: bool) -> Case:
    def write(folder: Path) -> Path:
        for number, name in enumerate(images):
            Image.fromarray(np.full((16, 16, 3), 10 * number, np.uint8)).save(folder / name)
        (folder / "labels.csv").write_bytes(content)
        return folder / "labels.csv"

    return Case("table", damage, write, _labels, truth, noticeable)


def _labels(path: Path) -> dict[str, list[int]]:
    """The labels of a prepared dataset."""
    target = path.parent / "prepared"
    prepare(path.parent, target, {"classes": FACTS.classes}, layout="patches", progress=False)
    content = json.loads((target / "datalist.json").read_text(encoding="utf-8"))
    return {Path(e["image"]).name: e["label"] for section in ("training", "validation") for e in content[section]}


def _datalist(rng: np.random.Generator) -> Case:
    """A datalist: a node of its JSON, or its bytes."""
    entry = {"image": "a.png", "label": [1, 0], "mask": "m.png", "group": "g", "position": [0, 4]}
    content = {**FACTS.to_dict(), "training": [entry, {**entry, "image": "b.png"}], "validation": [entry], "test": [entry]}
    return _json("datalist", "datalist.json", content, _entries, rng)


def _entries(path: Path) -> Any:
    sections = [read_datalist(path, section, ("image",)) for section in ("training", "validation", "test")]
    assert all(isinstance(e["image"], str) and e["name"] for entries in sections for e in entries)
    return load_facts(path).to_dict(), sections


def _json(kind: str, name: str, content: Any, read: Callable, rng: np.random.Generator) -> Case:
    if rng.random() < 0.7:
        damage, content = replaced(content, rng)
        data = json.dumps(content).encode()
    else:
        damage, data = damaged_bytes(json.dumps(content).encode(), rng)
    return _case(kind, damage, name, data, read, None, noticeable=False)


def _dataset_file(rng: np.random.Generator) -> Case:
    """The facts of a dataset's config: what they are read as must be facts."""
    content = yaml.safe_load((Path(BUNDLE_ROOT) / "configs" / "luad.yaml").read_text(encoding="utf-8"))
    damage, content = replaced({"dataset": content["dataset"]}, rng)
    data = yaml.safe_dump(content).encode("utf-8", "surrogatepass")
    return _case("dataset file", damage, "set.yaml", data, lambda path: load_facts(path).to_dict(), None, noticeable=False)


def _setting(rng: np.random.Generator) -> Case:
    """A setting of another type than the config's own, or one that there is not."""
    name = CONFIGS[int(rng.integers(len(CONFIGS)))]
    config = yaml.safe_load((Path(BUNDLE_ROOT) / "configs" / f"{name}.yaml").read_text(encoding="utf-8"))
    settings = {k: v for k, v in config.items() if k not in ("imports", "run") and isinstance(v, (bool, int, float))}
    key = sorted(settings)[int(rng.integers(len(settings)))]
    wrong = ["maybe", "1x", [], {}, [1], [[1, 2]], {"a": 1}, "x" * 300]
    value = wrong[int(rng.integers(len(wrong)))]
    if rng.random() < 0.3:
        key, value = f"{key}s"[::-1] if rng.random() < 0.5 else key[:-1] + "q", 1
    read = partial(lambda key, value, _path: checked_overrides(name, config_files(name), {key: value}), key, value)
    return Case("setting", f"{name}: {key} = {value!r:.40}", lambda folder: folder, read, None, name=key)


def _archive(rng: np.random.Generator) -> Case:
    """Archives with damaged bytes, or with members that must not be unpacked."""
    zipped = bool(rng.integers(2))
    name = "set.zip" if zipped else "set.tar.gz"
    members = {f"set/img/p{k}.txt": bytes([k]) * 50 for k in range(5)}
    bad = [
        "../out.txt",
        "/tmp/out.txt",
        "set/../../out.txt",
        "set/img/p0.txt/below",
        "a\\..\\..\\out.txt",
        "C:/out.txt",
        "set/" + "n" * 300,
    ]
    damage, noticeable, truth = "bytes", True, {k: len(v) for k, v in members.items()}
    if rng.random() < 0.5:
        damage, truth = f"member {bad[int(rng.integers(len(bad)))]}", None
        members[damage.removeprefix("member ")] = b"x"
    link = truth is not None and rng.random() < 0.2
    buffer = io.BytesIO()
    if zipped:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, content in members.items():
                archive.writestr(path, content)
            if link:
                info = zipfile.ZipInfo("set/link")
                info.external_attr = 0o120777 << 16
                archive.writestr(info, "/etc/passwd")
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for path, content in members.items():
                info = tarfile.TarInfo(path)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            if link:
                info = tarfile.TarInfo("set/link")
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(info)
    data = buffer.getvalue()
    if link:
        damage, truth = "a link", None
    elif truth is not None:
        damage, data = damaged_bytes(data, rng)
        noticeable = not zipped  # names in a zip have no check sum
    return _case("archive", f"{name}: {damage}", name, data, _unpacked, truth, noticeable)


def _unpacked(path: Path) -> dict[str, int]:
    unpack(path, path.parent / "unpacked")
    folder = path.parent / "unpacked"
    return {
        p.relative_to(folder).as_posix(): p.stat().st_size
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    }
