from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow
from scripts import BUNDLE_ROOT
from scripts.core.errors import root_cause
from scripts.core.recipes import config_files
from scripts.core.settings import check_settings, checked_overrides, plain, running_config

CONFIGS = Path(BUNDLE_ROOT) / "configs"
# what a component is given, and what is recorded, in place of the network
PROBE = """
+imports: [$from scripts.core.settings import running_config]
network: {_target_: dict, gated: "@gated"}
probe:
  _target_: types.SimpleNamespace
  flips: "@flips"
  network: "@network"
  compile: $(@compile,)
  transform: {_target_: RandFlipd, keys: image, allow_missing_keys: "no"}
run:
- $check_settings('inference')
- $@probe
- $running_config()
"""


@pytest.fixture
def probe(tmp_path):
    path = tmp_path / "probe.yaml"
    path.write_text(PROBE)
    return [str(CONFIGS / "inference.yaml"), str(path)]


def _workflow(files, **overrides):
    return ConfigWorkflow(config_file=files, workflow_type=None, logging_file=False, **overrides)


@pytest.mark.parametrize("initialised", [False, True])
def test_switches_arrive_as_true_or_false(probe, initialised):
    """At components, by reference, by expression and as given, and in what a stage records."""
    workflow = _workflow(probe, flips="no", gated="Yes", compile=0)
    if initialised:
        workflow.initialize()
    _, seen, recorded = workflow.run()
    assert seen.flips is False and seen.network["gated"] is True and seen.compile[0] is False
    assert seen.transform.allow_missing_keys is False
    assert (recorded["flips"], recorded["gated"], recorded["compile"]) == (False, True, False)
    assert recorded["probe"]["transform"]["allow_missing_keys"] is False


def test_a_switch_that_was_used_already_is_not_changed_in_silence(probe):
    workflow = _workflow(probe, gated="no")
    workflow.initialize()
    assert workflow.parser.get_parsed_content("gated") == "no"
    with pytest.raises(RuntimeError) as error:
        workflow.run()
    assert str(root_cause(error.value)) == "gated: found 'no', which was used before it was checked; write False"


def test_nothing_is_resolved_before_the_check(probe):
    workflow = _workflow(probe, flps=1, probe={"_target_": "nowhere.Nothing"})
    with pytest.raises(RuntimeError) as error:
        workflow.run()
    assert str(root_cause(error.value)) == "flps: inference.yaml has no setting 'flps'; did you mean 'flips'?"


def test_outside_a_workflow_there_is_nothing_to_check():
    assert running_config() == {}
    check_settings("inference")


def test_the_command_line_says_what_is_wrong_in_a_line(tmp_path):
    """Among files whose own setting is read by a macro, of which nothing is left when the check runs."""
    own = tmp_path / "own.yaml"
    own.write_text("where: {folder: elsewhere}\nreport_dir: '%where#folder'\n")
    files = f"['{CONFIGS / 'check.yaml'}','{own}']"
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", files, "--dataset_dr", "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line == "error: dataset_dr: check.yaml has no setting 'dataset_dr'; did you mean 'dataset_dir'?"


def test_overrides_come_back_with_their_switches_put_right():
    files = config_files("generate_pseudo_masks", "grad_cam")
    given = {"flips": "on", "consensus": None}
    assert checked_overrides("generate_pseudo_masks", files, given) == {"flips": True, "consensus": None}
    masker = {"_target_": "scripts.pseudo_masks.PseudoMasker", "balance": "yes"}
    given = {"masker": masker, "masker#flips": "no"}
    found = checked_overrides("generate_pseudo_masks", files, given)
    assert found == {"masker": masker, "masker#balance": True, "masker#flips": False}
    assert set(masker) == {"_target_", "balance"} and masker["balance"] == "yes"


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("masker#contxt", "masker#contxt: make_masker has no setting 'contxt'; did you mean 'context'?"),
        ("maskr#context", "maskr#context: generate_pseudo_masks.yaml has no setting 'maskr'; did you mean 'masker'?"),
        ("masker::refinemnt::crf", "masker::refinemnt::crf: masker has no setting 'refinemnt'; did you mean 'refinement'?"),
        ("layers#7#x", "layers#7#x: layers has the parts 0 to 2, found '7'"),
        ("seed#x", "seed#x: seed is 0, which has no part 'x'"),
    ],
)
def test_overrides_that_lead_nowhere(id, message):
    with pytest.raises(ValueError) as error:
        checked_overrides("generate_pseudo_masks", config_files("generate_pseudo_masks"), {id: 1})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ("cuda:99", "device: found 'cuda:99', expected a device of this machine: cpu"),
        (
            "$torch.device('cuda:99')",
            "device: $torch.device('cuda:99'): found 'cuda:99', expected a device of this machine: cpu",
        ),
        ("$'cuda:' + str(@seed + 99)", "device: $'cuda:' + str(@seed + 99): found 'cuda:99', expected a device"),
        ("$torch.device('banana')", "device: $torch.device('banana') cannot be evaluated: "),
    ],
)
def test_a_device_that_is_not_there(probe, device, says):
    """By text and by expression, in a workflow that runs and in overrides of one that is not opened yet."""
    with pytest.raises(RuntimeError) as error:
        _workflow(probe, device=device).run()
    assert str(root_cause(error.value)).startswith(says)
    with pytest.raises(ValueError) as error:
        checked_overrides("train", config_files("train"), {"device": device})
    assert str(error.value).startswith(says)


def test_a_device_that_is_there_arrives_as_one(probe):
    assert checked_overrides("train", config_files("train"), {"device": "cpu"}) == {"device": "$torch.device('cpu')"}
    assert checked_overrides("train", config_files("train"), {"device": "$torch.device('cpu')"})["device"].startswith("$")
    workflow = _workflow(probe, device="cpu", flips=True)
    workflow.run()
    assert workflow.parser.get_parsed_content("device") == torch.device("cpu")


def test_a_folder_with_the_name_of_a_number(probe):
    workflow = _workflow(probe, output_dir=2024, flips=True)
    _, _, recorded = workflow.run()
    assert recorded["output_dir"] == "2024" and workflow.parser.get_parsed_content("output_dir") == "2024"


@pytest.mark.parametrize("own", [3.5, "a\0b", [1.5], True])
def test_files_of_ones_own_are_paths(probe, own):
    with pytest.raises(RuntimeError) as error:
        _workflow(probe, own=own).run()
    assert str(root_cause(error.value)).startswith(f"own: found {own!r}, expected a path, or a list, each a path")


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("recipe.yaml", "[", "recipe.yaml: not readable as YAML: while parsing"),
        ("recipe.yaml", "extends: 3", "recipe.yaml: found {'extends': 3}, expected 'extends: NAME'"),
        ("recipe.yaml", "extends: [1]", "recipe.yaml: found {'extends': [1]}, expected 'extends: NAME'"),
        ("recipe.yaml", "extends: 2024-13-45", "recipe.yaml: not readable as YAML: month must be in 1..12"),
        ("train.yaml", "[1]", "train.yaml: expected settings by their names"),
        ("train.yaml", "", "train.yaml: expected settings by their names"),
        ("train.yaml", "no: 3", "train.yaml: expected settings by their names"),
        ("train.yaml", "a: [", "train.yaml: not readable as YAML: while parsing"),
        ("train.yaml", "a: " + "[" * 5000, "train.yaml: not readable as YAML: maximum recursion"),
        ("train.yaml", "train: {1: 2}", "train#1: train has no setting '1'"),
        ("train.yaml", "learning_rate: 5e-4", "learning_rate: found '5e-4', expected a number above 0, and no text"),
    ],
)
def test_recipes_that_cannot_be_read(tmp_path, file, content, says):
    (tmp_path / file).write_text(content)
    with pytest.raises(ValueError) as error:
        checked_overrides("train", config_files("train", str(tmp_path)), {})
    assert says in str(error.value) and "\n" not in str(error.value)


def test_paths_that_are_not_utf8_can_be_written_down():
    assert plain({"dataset_dir": "f\udce9", "n": 1, "list": [None, "é"]}) == {
        "dataset_dir": r"f\xe9",
        "n": 1,
        "list": [None, "é"],
    }
