"""Every command of the documentation runs, page by page and in order, and what is said to be written is there."""

from __future__ import annotations

import gc
import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from docs_inputs import Inputs
from docs_pages import IDS, PAGES, ROOT, commands, examples
from docs_world import Command, World
from monai.bundle import ConfigParser
from scripts.core.facts import load_facts
from scripts.run.pipeline import merge_overrides

HOW_TO = "bundle/docs/how-to/"
#: Commands that cannot run in a test, by page and a part of them.
NOT_RUN = {
    (HOW_TO + "cohorts.md", "--engine dask --workers 4"): "four processes that import PyTorch; tests/slides has two",
    (HOW_TO + "cohorts.md", "--scheduler cluster.json"): "a Dask cluster",
    (HOW_TO + "doctor.md", "--tracking_uri http://localhost:5000"): "a server of MLflow's at this port",
    (HOW_TO + "export.md", "TensorrtExecutionProvider"): "a GPU with TensorRT",
}
#: Programs other than the bundle.
OTHERS = {
    "pip": "installs", "pytest": "these tests", "ruff": "style", "mlflow": "runs until it is stopped",
    "dask": "a cluster", "wsinfer": "of an environment of its own", "monailabel": "of an environment of its own",
    "for": "benchmarks", "python benchmarks/": "benchmarks, which have tests of their own",
}  # fmt: skip
_RUN = ["{output_dir}/models/classifier.pt", "{output_dir}/models/model.pt", "{output_dir}/models/m*.json",
        "{output_dir}/pseudo_masks/*/*.png", "{output_dir}/[er]*/report.html"]  # fmt: skip
#: What a command writes, by its config.
WRITES = {
    "demo": [name.replace("{output_dir}", "bundle/output/demo") for name in _RUN],
    "prepare": ["{dataset_dir}/datalist.json"],
    "check": ["{dataset_dir}/dataset_check.txt"],
    "pipeline": ["{dataset_dir}/datalist.json", *_RUN],
    "train_classifier": ["{model_dir}/classifier.pt", "{model_dir}/classifier.json", "{output_dir}/train_classifier/history.json"],
    "generate_pseudo_masks": ["{output_dir}/pseudo_masks/*/*.png", "{output_dir}/pseudo_masks/summary.json"],
    "train": ["{model_dir}/model.pt", "{model_dir}/model.json", "{model_dir}/metadata.json", "{output_dir}/train/history.json"],
    "evaluate": ["{output_dir}/evaluate/metrics.json", "{output_dir}/evaluate/report.html", "{output_dir}/evaluate/label_maps/*/*.png"],
    "report": ["{output_dir}/report/report.html"],
    "inference": [f"{{output_dir}}/inference/{name}" for name in ("report.html", "areas.csv", "*_mask.png", "*_overlay.png", "*_areas.json")],
    "inference_wsi": [f"{{output_dir}}/inference_wsi/{name}"
                      for name in ("*.ome.tif", "*.geojson", "*_overlay.jpg", "[!.]*.json", "cohort.csv", "cohort.html")],
    "label": ["{label_dir}/round_1/label.html", "{label_dir}/round_1/patches.json"],
    "suggest": ["{label_dir}/round_2/label.html", "{label_dir}/round_2/suggest.html"],
    "agreement": ["{output}"],
    "export": ["{output_dir}/export/stage.json"],
    "package": ["{output_dir}/package/{name}_v*.zip", "{output_dir}/package/test_{name}.py"],
    "import_checkpoint": [f"{{model_dir}}/{name}" for name in ("classifier.pt", "classifier.json", "model.pt", "model.json")],
    "upgrade": ["{model_dir}/classifier.json", "{model_dir}/model.json"],
    "track": [], "doctor": [], "annotation_cost": [],
}  # fmt: skip
#: What a form of an export is.
EXPORTED = {
    "torchscript": "*.ts", "onnx": "[!.]*.onnx", "onnx_int8": "*.int8.onnx", "bioimageio": "segmenter.bioimageio.zip",
    "wsinfer": "classifier.wsinfer/config.json", "monai_deploy": "model.ts",
}  # fmt: skip
#: What a command says.
SAYS = {
    "agreement": "the patches to talk about", "annotation_cost": "patch labels", "doctor": "what this machine has and lacks",
    "track": "entries logged",
}  # fmt: skip


def _is_monais(words: list[str]) -> bool:
    return words[0] == "torchrun" or words[:3] == ["python", "-m", "monai.bundle"]


def _why_not(page: Path, words: list[str]) -> list[tuple[str, str]]:
    """Entries of the lists above that a command is one of."""
    line, name = " ".join(words), page.relative_to(ROOT).as_posix()
    found = [key for key in NOT_RUN if key[0] == name and key[1] in line]
    return found + [("", other) for other in OTHERS if not _is_monais(words) and line.startswith(other)]


class Pages:
    """Each page is run once."""

    def __init__(self, folder: Path, store: bytes) -> None:
        self.folder = folder
        self.inputs = Inputs(folder, store)
        self.worlds: dict[Path, World] = {}

    def run(self, page: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]) -> World:
        if page not in self.worlds:
            folder = self.folder / re.sub(r"\W", "_", str(page.relative_to(ROOT)))
            folder.mkdir()
            self.worlds[page] = world = World(folder, page, self.inputs)
            monkeypatch.chdir(world.folder)
            for words in commands(page):
                if not _why_not(page, words):
                    _run(world, Command(words), said)
        return self.worlds[page]


def _run(world: World, command: Command, said: Callable[[], str]) -> None:
    said()
    new = world.run(command)
    text = said()
    if command.kind != "run":
        assert "filepath" not in command.settings or Path(command.settings["filepath"]).stat().st_size
        return
    if command.settings.get("dry_run"):
        assert not new and "slides to do" in text, new
        return
    asked = {k: command.setting(k) for k in ("dataset_dir", "output_dir", "model_dir", "label_dir", "output", "name")}
    patterns = [pattern.format(**asked) for pattern in WRITES[command.name]]
    if command.name == "export":
        patterns += [f"{asked['output_dir']}/export/{EXPORTED[form]}" for form in command.setting("forms")]
    for pattern in patterns:
        found = list(world.folder.glob(pattern))
        assert found and all(path.stat().st_size for path in found), f"{command.written}: {pattern}"
    assert not patterns or any(fnmatch(str(path), p) for path in new for p in patterns), command.written
    assert SAYS.get(command.name, "") in text, text
    if "register" in command.settings:
        assert f"{command.settings['register']}: version 1" in text, text
    if command.name == "pipeline":
        _recorded_as_written(command, asked)


def _recorded_as_written(command: Command, places: Mapping[str, Any]) -> None:
    """Overrides and dataset file reach dataset and stages, whose losses are numbers."""
    contents = [ConfigParser.load_config_file(file) for file in command.files[1:]]
    facts = load_facts(places["dataset_dir"]).to_dict()
    assert all(facts[key] == value for c in contents for key, value in c["dataset"].items()), facts
    stages = merge_overrides(*(c.get("settings", {}) for c in contents), command.settings.get("overrides", {}))
    for stage, values in stages.items():
        config = ConfigParser(ConfigParser.load_config_file(f"{places['output_dir']}/{stage}/config.yaml"))
        assert {id: config[id] for id in values} == values, stage
    for stage in ("train_classifier", "train"):
        rows = json.loads(Path(places["output_dir"], stage, "history.json").read_text())
        assert rows and all(math.isfinite(row["train_loss"]) for row in rows), rows


@pytest.fixture(scope="module")
def pages(tmp_path_factory, new_store):
    return Pages(tmp_path_factory.mktemp("pages"), new_store)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_commands_of_a_page_run(pages, page, monkeypatch, capsys, caplog):
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, value in (("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_CPUS_PER_TASK", "1")):
        monkeypatch.setenv(name, value)

    def said() -> str:
        """What was printed and logged since the last call."""
        logged = [r.getMessage() for r in caplog.records if r.name.startswith("scripts")]
        caplog.clear()
        return "\n".join([capsys.readouterr().out, *logged])

    caplog.set_level("INFO")
    if not [words for words in commands(page) if _is_monais(words)]:
        pytest.skip("no such command")
    if pages.inputs.trained is None:
        pages.inputs.trained = pages.run(ROOT / "README.md", monkeypatch, said).folder / "my_run"
        gc.freeze()  # what it has imported
    try:
        pages.run(page, monkeypatch, said)
    finally:
        for name in examples():
            sys.modules.pop(Path(name).stem, None)


def test_each_command_is_run_or_said_not_to_be():
    used = {key for page in PAGES for words in commands(page) for key in _why_not(page, words)}
    assert used == {*NOT_RUN, *(("", other) for other in OTHERS)}
    left = [
        words for page in PAGES for words in commands(page) if words and not (_is_monais(words) or _why_not(page, words))
    ]
    assert not left
