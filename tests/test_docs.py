"""The documentation: its links, names, commands, keys and figures are those of the bundle, and its examples run."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from pydoc import locate
from typing import Any

import numpy as np
import pytest
import yaml
from docs_pages import (
    BUNDLE,
    CONFIGS,
    DOCS,
    IDS,
    OWN,
    PAGES,
    ROOT,
    blocks,
    commands,
    examples,
    parsed,
    settings_of,
    text_of,
)
from monai.bundle import ConfigParser, ConfigWorkflow
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image
from scripts.core.kinds import SETTINGS
from scripts.core.recipes import config_files, known_recipes
from scripts.core.settings import checked_overrides
from scripts.data.prepare import prepare
from scripts.demo.dataset import DEMO_FACTS, write_demo_dataset
from scripts.inference import Segmentation, TissueModel, load_model
from scripts.run.pipeline import REPORT, STAGES, merge_overrides, run_pipeline
from scripts.weights.description import read_description
from test_rooms import FLOORS, SCRIPTS, _rooms_imported
from tiny import write_models

RESULTS = ROOT / "benchmarks" / "results"
# configs and their keys; a stage writes a folder
NAMES = sorted(p.stem for p in CONFIGS.glob("*.yaml") if "run" in yaml.safe_load(p.read_text(encoding="utf-8")))
RECORDING = [*STAGES, REPORT, "inference", "inference_wsi"]


def _section(path: Path, title: str) -> str:
    """What stands under a heading of the second level."""
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text_of(path), flags=re.M | re.S)[1]


def _rows(text: str) -> list[list[str]]:
    """Cells of the rows of all tables whose first cell is code."""
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")]
    assert rows, text[:200]
    return rows


def _config(name: str, recipe: str | None = None) -> dict[str, Any]:
    return ConfigParser.load_config_files(config_files(name, recipe))


# --- links, names, commands ---------------------------------------------------------------------------------------------


def test_the_readme_is_a_start():
    assert text_of(ROOT / "README.md").count("\n") <= 150


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists() and file.is_relative_to(ROOT), f"{target} of {page.name}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", text_of(file), flags=re.M)
            anchors = [re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles]
            assert anchor in anchors, f"{target} of {page.name}, found {anchors}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_names_are_those_of_the_tree(page):
    """Files by their path, from the root or in a room; components by their dotted name, which no old module has."""
    text = text_of(page)
    folders = "bundle|benchmarks|tests|configs"
    for name in re.findall(rf"(?<![\w/.-])((?:{folders})/[\w./-]*\w\.(?:py|yaml|json|md|png))", text):
        assert (ROOT / name).exists() or (BUNDLE / name).exists(), name
    rooms = "|".join(p.parent.name for p in SCRIPTS.glob("*/__init__.py"))
    for name in re.findall(rf"(?<![\w/])(?:scripts/)?((?:{rooms})/\w+\.py)", text):
        assert (SCRIPTS / name).is_file(), name
    for name in re.findall(r"(?<![\w/])scripts\.(?:\w+\.)*\w+", text):
        assert locate(name) is not None, name
    for name in re.findall(r"`([\w-]+\.yaml)`", text):
        assert list(CONFIGS.rglob(name)) or name in examples(), name


def _named_files(option: str) -> list[Path]:
    names = ast.literal_eval(option) if option.startswith("[") else [option]
    names = [n.removeprefix(f"{_config('package')['name']}/") for n in names]  # an unpacked package is a bundle
    return [next((p for p in (ROOT / n, BUNDLE / n) if p.is_file()), Path(n)) for n in names]


def _has(parser: ConfigParser, id: str) -> bool:
    """Whether a configuration has an entry, or something built by a class that could take it as an argument."""
    above, _, last = id.rpartition("#")
    if id in parser:
        return True
    component = parser.get(above) if above else None
    return isinstance(component, dict) and last in inspect.signature(locate(component["_target_"])).parameters


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_name_files_and_keys_that_there_are(page):
    for words in commands(page):
        if words[:3] == ["python", "-m", "monai.bundle"]:
            if words[3] == "run" and "--" not in words:
                _check_run(settings_of(words[4:]))
            elif words[3] != "run":
                options = settings_of(words[5:])
                assert words[3] in ("verify_net_in_out", "ckpt_export", "onnx_export"), words
                (file,) = _named_files(options["config_file"])
                assert words[4] in ConfigParser.load_config_file(str(file)), words
        elif words[0] == "python" and words[1].startswith("benchmarks/") and "$" not in words[1]:
            source = text_of(ROOT / words[1])
            assert all(f'"{w}"' in source for w in words if w.startswith("--")), words
        elif words[0] == "pytest":
            assert all((ROOT / w).exists() for w in words[1:] if w.startswith("tests")), words


def _check_run(options: dict[str, str]) -> None:
    files = _named_files(options.pop("config_file"))
    parser = ConfigParser(ConfigParser.load_config_file(str(files[0])))
    for file in files[1:]:
        content = examples().get(file.name) or text_of(file)
        assert set(yaml.safe_load(content)) <= set(parser.config), file
    recipe = options.get("recipe")
    assert recipe is None or recipe in [*known_recipes(), "default"] or f"{recipe}/train.yaml" in examples(), recipe
    overrides = ast.literal_eval(options.pop("overrides", "{}"))
    for key in options:
        assert key in parser, key
    assert set(overrides) <= {*STAGES, REPORT}, overrides
    for stage, values in overrides.items():
        own = ConfigParser(_config(stage, recipe if recipe in known_recipes() else None))
        assert all(_has(own, id) for id in values), values


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_settings_of_commands_are_taken(page, tmp_path):
    """Each is of a kind and in a range that its config takes, of a stage of the pipeline too."""
    for words in commands(page):
        if words[:4] == ["python", "-m", "monai.bundle", "run"] and "--" not in words:
            options = {key: parsed(text) for key, text in settings_of(words[4:]).items()}
            files = _written(words[words.index("--config_file") + 1], tmp_path)
            name, of_stages = Path(files[0]).stem, options.pop("overrides", {})
            options.pop("config_file")
            recipe = options["recipe"] if options.get("recipe") in known_recipes() else None
            own = [f for f in config_files(name, recipe) if f not in files] if recipe else []
            checked_overrides(name, [*files, *own], options)
            for stage, values in of_stages.items():
                checked_overrides(stage, config_files(stage, recipe), values)


def _written(option: str, folder: Path) -> list[str]:
    """Config files of a command, those that a page shows in full written to a folder."""
    files = _named_files(option)
    for number, file in enumerate(files):
        if not file.is_file():
            files[number] = folder / file.name
            files[number].write_text(examples()[file.name], encoding="utf-8")
    return [str(f) for f in files]


def test_the_version_is_one():
    metadata = json.loads(text_of(CONFIGS / "metadata.json"))
    assert f'version = "{metadata["version"]}"' in text_of(ROOT / "pyproject.toml")
    assert re.findall(r"^## (.*)$", text_of(ROOT / "CHANGELOG.md"), flags=re.M) == list(metadata["changelog"])
    assert yaml.safe_load(text_of(ROOT / "CITATION.cff"))["version"] == metadata["version"]


# --- reference ----------------------------------------------------------------------------------------------------------


def _common(name: str) -> dict[str, str]:
    """Keys that the page has for several configs, with their defaults, as far as a config is among these."""
    found = {}
    for key, default, _, where in _rows(_section(DOCS / "reference/configs.md", "Of several configs")):
        named = [w for part in where.split(", ") for w in {"stages": RECORDING, "all": NAMES}.get(part, [part])]
        assert set(named) <= set(NAMES), where
        if name in named:
            found[key.strip("`")] = default
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_every_key_of_a_config_with_its_default_and_no_other(name):
    config = _config(name)
    own = {row[0].strip("`"): row[1] for row in _rows(_section(DOCS / "reference/configs.md", name))}
    rows = {**_common(name), **own}
    assert {key.split("#")[0] for key in rows} == set(config) - {"imports", "run"}
    for key, default in rows.items():
        value: Any = config
        for part in key.split("#"):
            value = value[part]
        _same_default(value, default, key)
        siblings = {k.rpartition("#")[2] for k in rows if "#" in key and k.startswith(key.rpartition("#")[0] + "#")}
        parent = config[key.split("#")[0]]
        if siblings and "_target_" not in parent:
            assert siblings == set(parent), key


def _same_default(value: Any, default: str, key: str) -> None:
    if isinstance(value, str) and value[:1] in "$@":
        assert default, key
    elif isinstance(value, Mapping) and "_target_" in value:
        assert default.strip("`") == value["_target_"].removeprefix("scripts."), key
    elif default:
        assert yaml.safe_load(default.strip("`")) == value, key
    else:
        assert isinstance(value, (dict, list)), key


def test_the_page_has_every_range():
    rows = _rows(_section(DOCS / "reference/configs.md", "Ranges"))
    listed = {key: row[1] for row in rows for key in re.findall(r"`([^`]+)`", row[0])}
    texts = ("a text", "a path", "a path, or a list, each a path")
    assert listed == {k: str(v) for k, v in SETTINGS.items() if str(v).removesuffix(", or None") not in texts}


def test_the_page_has_every_key_of_a_dataset_file():
    text = _section(DOCS / "reference/configs.md", "Dataset files")
    facts, settings = text.split("Section `prepare`:")
    facts, settings = _rows(facts), _rows(settings.split("Section `settings`")[0])
    assert [r[0].strip("`") for r in facts] == [f.name for f in fields(DatasetFacts)]
    parameters = list(inspect.signature(prepare).parameters.values())[3:]
    assert [r[0].strip("`") for r in settings] == [p.name for p in parameters]
    for (key, default, _), parameter in zip(settings, parameters, strict=True):
        if default.startswith("`"):
            assert yaml.safe_load(default.strip("`")) == parameter.default, key


def test_the_page_has_every_key_that_recipes_add():
    added: dict[str, Any] = {}
    for recipe in known_recipes():
        for stage in (*STAGES, REPORT, "inference"):
            merged, plain = _config(stage, recipe), _config(stage)
            added.update({k: v for k, v in merged.items() if k not in plain and "#" not in k and not k.startswith("+")})
    rows = {r[0].strip("`"): r[1] for r in _rows(_section(DOCS / "reference/configs.md", "Keys that recipes add"))}
    assert set(rows) == set(added)
    for key, default in rows.items():
        _same_default(added[key], default, key)


# --- explanation --------------------------------------------------------------------------------------------------------


def test_the_picture_shows_the_rooms_on_their_floors_and_what_they_import():
    page = DOCS / "explanation/architecture.md"
    picture, arrows = blocks(page, "")
    floors: list[set[str]] = []
    for line in picture.splitlines():
        number, room, commands = re.fullmatch(r"( ?\d+)?\s+(\w+)\s+.*?(\S+\.yaml(?:, \S+\.yaml)*)?", line).groups()
        floors = [set(), *floors] if number else floors
        floors[0].add(room)
        assert all((CONFIGS / c).is_file() for c in (commands or "").split(", ") if c), line
    assert floors == [set(rooms) for rooms in FLOORS]
    shown = {a: set(b.split(", ")) for a, b in re.findall(r"(\w+) ─► ([\w, ]+?)(?:  |$)", arrows, flags=re.M)}
    assert shown.pop("them") == {"core"}
    for room in {r for rooms in FLOORS for r in rooms} - {"core"}:
        imported = set().union(*(_rooms_imported(p) for p in (SCRIPTS / room).glob("*.py"))) - {room, "core"}
        assert shown.get(room, set()) == imported, room


def test_the_page_says_what_a_fingerprint_covers():
    text = _section(DOCS / "explanation/architecture.md", "What a stage's fingerprint covers")
    from scripts.run.record import _WHERE

    assert set(re.findall(r"`(\w+)`", text.split("the version of the bundle")[0])) == _WHERE
    assert [r[0].strip("`") for r in _rows(text)] == [*RECORDING, "export"]


def test_overrides_that_switch_parts_off_name_keys_that_there_are():
    text = text_of(DOCS / "explanation/default_recipe.md")
    found = [ast.literal_eval(o) for o in re.findall(r"`(\{'.*?\}\})`", text)]
    assert len(found) == 12
    for overrides in found:
        for stage, values in overrides.items():
            parser = ConfigParser(_config(stage))
            assert all(id in parser and parser[id] != value for id, value in values.items()), overrides


def test_the_recipe_plain_is_the_plain_method():
    masks, train = _config("generate_pseudo_masks", "plain"), _config("train", "plain")
    assert (masks["layers"], masks["consensus"], masks["flips"], masks["scales"]) == (None, None, False, [1.0])
    assert [masks["masker"][k] for k in ("share_prior", "context", "refinement")] == [0.0, 0.0, None]
    assert train["layers"] == ["stage4", "stage5", "stage6"] and train["layer_weights"] == [0.2, 0.2, 0.6]
    assert (train["cutmix"], train["ema_epochs"], train["self_training"]["weight"]) == (0.0, 0.0, 0.0)
    assert train["inference"] == {"flips": False, "window_scales": [1.0]}
    assert _config("train_classifier", "plain")["network_def"]["_target_"].endswith("TissueClassifier")


# --- figures ------------------------------------------------------------------------------------------------------------

SETS = ("wsss4luad", "glas")


@pytest.fixture(scope="module")
def records():
    return {name: json.loads(text_of(RESULTS / f"accuracy_{name}.json"))["results"] for name in SETS}


def test_gains_of_the_parts_are_those_of_the_records(records):
    for part, *cells, compared in _parts():
        one, other = re.findall(r"`([^`]+)`", compared)
        for name, cell in zip(SETS, cells, strict=True):
            scores: dict[str, dict[int, Any]] = {one: {}, other: {}}
            for run in records[name]["runs"]:
                if run["recipe"] in scores:
                    scores[run["recipe"]][run["seed"]] = run["scores"]["segmenter + gate"]
            seeds = set(scores[one]) & set(scores[other])
            if not cell:
                continue
            gains = [
                100 * sum(scores[one][s][k] - scores[other][s][k] for s in seeds) / len(seeds) for k in ("miou", "fwiou")
            ]
            number = f"{len(seeds)} seed{'s' * (len(seeds) > 1)}"
            assert cell == f"{gains[0]:+.1f}, {gains[1]:+.1f} ({number})", part


def _parts() -> list[list[str]]:
    lines = text_of(DOCS / "explanation/default_recipe.md").splitlines()
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in lines if re.match(r"\| (?!part)\w", line)]
    assert len(rows) == 9
    return rows


def test_tables_of_accuracy_are_those_of_the_records():
    rows = {line for name in SETS for line in text_of(RESULTS / f"accuracy_{name}.md").splitlines()}
    for page, number in ((DOCS / "accuracy.md", 16), (ROOT / "benchmarks/experiments.md", 100)):
        shown = [r for r in text_of(page).splitlines() if re.match(r"\| [\w ,-]+: (CAM|segmenter)", r)]
        others = _section(page, "At 224 px").splitlines() if page.name == "experiments.md" else []
        shown = [r for r in shown if r not in others]
        assert len(shown) >= number and not [r for r in shown if r not in rows], page


def test_the_readmes_results_are_those_of_the_records(records):
    rows = [line for line in _section(ROOT / "README.md", "Results").splitlines() if line.startswith("|")][2:]
    for name, default, bound in (("wsss4luad", rows[0], rows[1]), ("glas", rows[2], rows[3])):
        table = {(r["recipe"], r["method"]): r for r in records[name]["table"]}

        def shown(recipe: str, key: str, table: dict = table) -> str:
            mean, spread = table[recipe, "segmenter + gate"][key]
            return f"{mean:.1f} ± {spread:.1f}"

        cells = [c.strip() for c in default.replace("*", "").split("|")[3:-1]]
        gaps = ", ".join(f"{table['default', 'segmenter + gate'][f'gap_{k}']:.1f}" for k in ("miou", "fwiou"))
        cam = f"{table['default', 'CAM fused']['miou'][0]:.1f}"
        assert cells == [cam, shown("default", "miou"), shown("default", "fwiou"), gaps]
        cells = [c.strip() for c in bound.split("|")[4:6]]
        assert cells == [shown("fully_supervised", "miou"), shown("fully_supervised", "fwiou")]


# --- examples that run --------------------------------------------------------------------------------------------------


def test_the_python_page_runs(tmp_path, monkeypatch, rng, capsys):
    """All of its code, in order, as one program; and it names all that is public."""
    write_image(tmp_path / "image.png", rng.integers(0, 256, (70, 90, 3), dtype=np.uint8))
    write_image(tmp_path / "patch.png", rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    models = write_models(tmp_path / "models", DatasetFacts(classes=("tumour", "stroma"), white_background=True, mpp=0.5))
    monkeypatch.chdir(tmp_path)
    page = DOCS / "how-to/python.md"
    names: dict[str, Any] = {"MODELS": str(models), "IMAGE": str(tmp_path / "image.png"), "PATCH": "patch.png"}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), names)
    printed = capsys.readouterr().out
    assert "('tumour', 'stroma')" in printed and "flps" in printed
    assert names["found"].label_map.shape == (70, 90) and (tmp_path / "overlay.png").is_file()
    internal = {"network", "inferer"}
    public = {n for kind in (TissueModel, Segmentation) for n in dir(kind) if not n.startswith("_")}
    public |= {f.name for f in fields(Segmentation)} | {n for n in vars(names["model"]) if not n.startswith("_")}
    assert {n for n in public - internal if not re.search(rf"\b{n}\b", text_of(page))} == set()


def test_the_readmes_python_runs(tmp_path, monkeypatch, rng):
    for name, side in (("image", 70), ("patch", 32)):
        write_image(tmp_path / f"{name}.png", rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    write_models(tmp_path / "my_run/models", DatasetFacts(classes=("a", "b")))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    (block,) = blocks(ROOT / "README.md", "python")
    exec(compile(block, "README.md", "exec"), names)
    assert block.count("\n") <= 10 and names["picture"].shape == (70, 70, 3)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The examples of the page, in a folder of their own outside the bundle, none of whose files changes meanwhile."""
    folder = tmp_path_factory.mktemp("own")
    for name, content in examples().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    before = _state(BUNDLE)
    yield folder
    assert _state(BUNDLE) == before
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


def _state(folder: Path) -> dict[Path, tuple[int, int]]:
    return {
        p: (p.stat().st_mtime_ns, p.stat().st_size)
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.suffix != ".pyc" and not {"output", "models", "data"} & set(p.relative_to(folder).parts[:1])
    }


def _own(*paths: Path) -> dict[str, Any]:
    """Files of one's own, as the pipeline and the stages take them."""
    return {"own": [str(p) for p in paths]}


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    return write_demo_dataset(
        tmp_path_factory.mktemp("tissue") / "raw", num_train=12, num_val=1, num_test=1, patch_size=64, progress=False
    )


SHORT = {"train_classifier": {"max_epochs": 1, "batch_size": 6}, "train": {"max_epochs": 1, "batch_size": 6}}


@pytest.fixture(scope="module")
def run(files, tissue, tmp_path_factory):
    """A run of the own backbone by the own recipe."""
    folder = tmp_path_factory.mktemp("run")
    places = {"dataset_dir": str(folder / "data"), "output_dir": str(folder / "out"), "model_dir": str(folder / "models")}
    results = run_pipeline(
        source=str(tissue), dataset=DEMO_FACTS.to_dict(), prepare={"layout": "luad"}, recipe=str(files / "my_recipe"),
        overrides=SHORT, progress=False, **places, **_own(files / "my_backbone.py"),
    )  # fmt: skip
    return {**places, "results": results}


def test_own_backbone_and_recipe(run, files, tissue, tmp_path):
    lines = [line for line in examples()["my_backbone.py"].splitlines() if line]
    assert len(lines) <= 32  # one file, 30 lines
    assert [m for m in run["results"]["scores"] if m.startswith("CAM")] == ["CAM low", "CAM middle", "CAM high", "CAM fused"]
    masks = {p.name for p in Path(run["output_dir"], "pseudo_masks").iterdir() if p.is_dir()}
    assert masks == {"gradcam_low", "gradcam_middle", "fused", "refined", "consensus"}
    described = read_description(Path(run["model_dir"], "model.pt"))
    assert described.recipe == "my_recipe"
    assert described.network["arguments"]["extractor"] == {"component": "MyBackbone", "arguments": {"width": 32}}
    settings = {"dataset_dir": str(tissue / "test/img"), "output_dir": str(tmp_path), "model_dir": run["model_dir"]}
    _workflow(["inference.yaml"], **settings, **_own(files / "my_backbone.py"))
    assert len(list(tmp_path.glob("inference/*_mask.png"))) == 1
    assert load_model(run["model_dir"]).classes == DEMO_FACTS.classes


def test_the_page_has_every_file_of_a_run_and_every_field_of_a_description(run, tmp_path, tissue):
    page = DOCS / "reference/files.md"
    shown = [n for row in _rows(_section(page, "Of a run")) for n in re.findall(r"`([^`]+)`", row[0])]
    patterns = {re.sub(r"<\w+>", "*", name): name for name in shown}
    places = {"output_dir": run["output_dir"], "model_dir": run["model_dir"]}
    _workflow(["inference.yaml"], dataset_dir=str(tissue / "test/img"), **places, certainty=True)
    _workflow(["report.yaml"], dataset_dir=run["dataset_dir"], **places)
    out = Path(run["output_dir"])
    written = [p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()]
    assert [n for n in written if not any(fnmatch(n, p) for p in patterns)] == []
    own = {p: name for p, name in patterns.items() if not p.startswith(("inference_wsi/", "shards/", "export/"))}
    assert [name for p, name in own.items() if not any(fnmatch(n, p) for n in written)] == []
    listed = [n for row in _rows(_section(page, "Weights"))[:3] for n in re.findall(r"`([^`]+)`", row[0])]
    assert sorted(listed) == sorted(p.name for p in Path(run["model_dir"]).iterdir())
    listed = {n for row in _rows(_section(page, "Weights"))[3:] for n in re.findall(r"`([^`]+)`", row[0])}
    assert listed == {
        k for n in ("classifier", "model") for k in read_description(Path(run["model_dir"], f"{n}.pt")).content
    }


@pytest.mark.parametrize("number", [0, 1])
def test_own_loss_of_a_mask(run, files, tmp_path, number):
    """torch's and MONAI's, beside the layers' weights and self-training."""
    shutil.copytree(run["output_dir"], tmp_path / "out")
    said = [parsed(settings_of(words[4:]).get("overrides", "{}")) for words in commands(OWN)]
    overrides = [o for o in said if "loss#criterion" in o.get("train", {})][number]
    run_pipeline(
        run["dataset_dir"], str(tmp_path / "out"), str(tmp_path / "models"), recipe=str(files / "my_recipe"),
        stages=["train"], overrides=merge_overrides(SHORT, overrides, {"train": {"max_epochs": 2}}), progress=False,
        **_own(files / "my_backbone.py"),
    )  # fmt: skip
    rows = json.loads((tmp_path / "out/train/history.json").read_text())
    assert len(rows) == 2 and all(np.isfinite(row["train_loss"]) for row in rows)


def _workflow(names: list[str | Path], **overrides: Any) -> Any:
    workflow = ConfigWorkflow(
        [str(CONFIGS / n) for n in names], workflow_type=None, logging_file=False, progress=False, **overrides
    )
    workflow.initialize()
    return workflow.run()
