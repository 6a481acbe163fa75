from __future__ import annotations

import json
import sys

import pytest
import torch
import yaml
from old_runs import FACTS, write, write_old_run
from scripts.inference.quality import FAST
from scripts.run import carried, record
from scripts.run.carried import earlier_fingerprint
from scripts.run.stage import Stage
from scripts.run.upgrade import upgrade
from scripts.weights.description import read_description
from scripts.weights.files import load_weights
from tiny import write_models


@pytest.fixture
def old_run(tmp_path):
    return write_old_run(tmp_path / "run")


def _stage(output, name="train", reads=None, **changes):
    """The same stage as this version configures it: other words, the same settings."""
    files = [output.parent / "data/datalist.json", output / "pseudo_masks/summary.json"]
    config = {"output_dir": "elsewhere", "seed": 3, "max_epochs": 4, "layers": ["x"], "new_setting": 5, **changes}
    weights = [str(output / "models" / ("model.pt" if name == "train" else "classifier.pt"))]
    return Stage(name, str(output), 3, inputs=[str(f) for f in files], reads=reads, weights=weights, config=config)


def test_weights_are_described_from_what_the_run_recorded(old_run):
    models = old_run / "models"
    with pytest.raises(ValueError, match=r"weights of version 0\.4.*upgrade\.yaml --model_dir"):
        load_weights(models / "model.pt", "segmenter")
    assert upgrade(str(models)) == [models / "classifier.json", models / "model.json"]
    for kind, name in (("classifier", "classifier.pt"), ("segmenter", "model.pt")):
        weights = load_weights(models / name, kind)
        description = weights.description
        assert (
            description.facts.classes == ("a", "b") and description.facts.mpp == 0.5 and description.facts.white_background
        )
        assert description.patch_size == (32, 48) and description.recipe == "grad_cam"
        assert description.scores == {"epoch": 2, "miou": 0.2}
        assert description.content["seed"] == 3 and description.content["git_commit"] == "abc"
        assert description.content["bundle_version"] == "0.4" and description.content["packages"] == {"torch": "2.6"}
        state = torch.load(models / name, weights_only=True)
        assert all(torch.equal(v, state[k]) for k, v in weights.network.state_dict().items())
    assert read_description(models / "classifier.pt").gate_threshold == 0.1
    assert read_description(models / "model.pt").inference == FAST
    assert load_weights(models / "classifier.pt", "classifier").network.layer == "b"


def test_without_it_stages_start_anew(old_run):
    assert not _stage(old_run, "train_classifier").finished() and not _stage(old_run).start().resumes


def test_an_interrupted_stage_goes_on_and_a_finished_one_is_finished(old_run):
    upgrade(str(old_run / "models"))
    assert _stage(old_run, "train_classifier").finished()
    stage = _stage(old_run)
    assert not stage.finished()
    before = json.loads((old_run / "train/stage.json").read_text())["fingerprint"]
    assert stage.start().resumes and stage.fingerprint == before and (old_run / "train/last.pt").is_file()
    again = _stage(old_run).start()  # and once more, after another interruption
    assert again.resumes
    again.finish()
    assert _stage(old_run).finished()


@pytest.mark.parametrize("changes", [{"max_epochs": 3}, {"seed": 4}, {"layers": ["y"]}])
def test_other_settings_start_anew_and_nothing_is_lost(old_run, changes):
    upgrade(str(old_run / "models"))
    files = [old_run / "train_classifier/last.pt", old_run / "models/classifier.pt", old_run / "models/classifier.json"]
    content = [path.read_bytes() for path in files]
    stage = _stage(old_run, "train_classifier", **changes)
    assert not stage.finished() and not stage.start().resumes
    assert not any(path.exists() for path in files)
    kept = [next(path.parent.glob(f"{path.stem}.????????{path.suffix}")) for path in files]
    assert [path.read_bytes() for path in kept] == content


def test_more_epochs_go_on(old_run):
    upgrade(str(old_run / "models"))
    stage = _stage(old_run, "train_classifier", max_epochs=5)
    assert not stage.finished() and stage.start().resumes and (old_run / "train_classifier/last.pt").exists()


def test_what_a_stage_read_of_its_dataset_counts_from_the_first_look_on(old_run):
    """Version 0.4 did not record it."""
    upgrade(str(old_run / "models"))
    (old_run / "patch.png").write_bytes(b"1")

    def stage():
        return _stage(old_run, "train_classifier", reads=[{"image": str(old_run / "patch.png")}])

    assert stage().finished() and stage().finished()
    (old_run / "patch.png").write_bytes(b"2")
    assert not stage().finished()
    (old_run / "patch.png").write_bytes(b"1")
    assert stage().finished()


def test_under_another_version_it_counts_again_only_by_another_upgrade(old_run, monkeypatch):
    upgrade(str(old_run / "models"))
    for module in (record, sys.modules[upgrade.__module__], carried):
        monkeypatch.setattr(module, "bundle_version", lambda: "99.0")
    assert not _stage(old_run, "train_classifier").finished()
    upgrade(str(old_run / "models"))
    assert _stage(old_run, "train_classifier").finished()


def test_other_inputs_start_anew(old_run):
    upgrade(str(old_run / "models"))
    (old_run / "pseudo_masks/summary.json").write_text('{"other": 1}')
    assert not _stage(old_run).start().resumes


def test_stages_whose_inputs_had_changed_before_do_not_count(old_run):
    (old_run / "pseudo_masks/summary.json").write_text('{"other": 1}')
    upgrade(str(old_run / "models"))
    assert not _stage(old_run).start().resumes and _stage(old_run, "train_classifier").finished()


def test_weights_alone_need_the_name_of_their_recipe(old_run, tmp_path):
    models = tmp_path / "alone/models"
    models.mkdir(parents=True)
    for name in ("classifier.pt", "classes.json"):
        (models / name).write_bytes((old_run / "models" / name).read_bytes())
    with pytest.raises(ValueError, match=r"classifier\.pt: nothing says which network this is.*--recipe default, or one of"):
        upgrade(str(models))
    with pytest.raises(ValueError, match=r"classifier\.pt does not fit HierarchicalClassifier"):
        upgrade(str(models), recipe="default")
    assert not (models / "classifier.json").exists()
    upgrade(str(models), output_dir=str(old_run))
    assert load_weights(models / "classifier.pt", "classifier").network.layer == "b"


def test_a_recorded_network_runs_nothing(old_run):
    path = old_run / "train/config.yaml"
    config = yaml.safe_load(path.read_text())
    for network in ({"_target_": "os.system", "command": "false"}, "$__import__('os').system('false')", "@nothing"):
        config["extractor"] = network
        path.write_text(yaml.safe_dump(config))
        with pytest.raises(ValueError, match=r"config\.yaml: "):
            upgrade(str(old_run / "models"))
    assert not list(old_run.rglob("model.json")) and not list(old_run.rglob("classifier.json"))


def test_nothing_to_upgrade(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"classes\.json"):
        upgrade(str(tmp_path))
    write(tmp_path / "classes.json", FACTS.to_dict())
    (tmp_path / "m").mkdir()
    write(tmp_path / "m/classes.json", FACTS.to_dict())
    with pytest.raises(FileNotFoundError, match=r"found none of classifier\.pt, model\.pt, and no stage"):
        upgrade(str(tmp_path / "m"))


def _earlier(folder, config, inputs, state):
    """The folder of a stage as version 0.5.0 left it."""
    write(folder / "config.yaml", {**config, "stage": {**config["stage"], "inputs": inputs[0]}})
    config = yaml.safe_load((folder / "config.yaml").read_text())
    record = {"stage": folder.name, "state": state, "fingerprint": earlier_fingerprint(config, inputs[1]), "seconds": 1.0}
    write(folder / "stage.json", record)


def test_stages_of_version_0_5_count_too_whose_weights_are_described_already(tmp_path):
    output, models = tmp_path / "run", write_models(tmp_path / "run/models", FACTS)
    write(tmp_path / "data/datalist.json", FACTS.to_dict())
    config = {
        "dataset_dir": str(tmp_path / "data"), "output_dir": str(output), "model_dir": "$@output_dir + '/models'", "seed": 3,
        "max_epochs": 4, "stage": {"_target_": "scripts.run.Stage"},
    }  # fmt: skip
    datalist, weights = tmp_path / "data/datalist.json", [models / "classifier.pt", models / "classifier.json"]
    text = "$[@dataset_dir + '/datalist.json', *described_files(@model_dir, 'classifier')]"
    _earlier(output / "train_classifier", config, (["$@dataset_dir + '/datalist.json'"], [datalist]), "finished")
    _earlier(output / "generate_pseudo_masks", config, (text, [datalist, *weights]), "finished")
    trained = (models / "classifier.pt").read_bytes()

    def stage(name, **settings):
        config = {"output_dir": str(output), "seed": 3, "max_epochs": 4}
        return Stage(name, str(output), 3, config=config, **settings)

    stages = [
        stage("train_classifier", inputs=[str(datalist)], weights=[str(weights[0])]),
        stage("generate_pseudo_masks", inputs=[str(datalist), *map(str, weights)]),
    ]
    assert [s.finished() for s in stages] == [False, False]
    assert upgrade(str(models)) == []
    assert [s.finished() for s in stages] == [True, True]
    assert (models / "classifier.pt").read_bytes() == trained and load_weights(models / "classifier.pt", "classifier")
