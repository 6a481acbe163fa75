"""What the configs tie together, as MONAI parses them: by identity, by numbers, and by what the networks get to see."""

from __future__ import annotations

import json
from contextlib import contextmanager
from math import log
from pathlib import Path
from shutil import copytree, ignore_patterns

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.transforms import RandGaussianSmoothd
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import read_image, read_mask
from scripts.core.names import pseudo_mask_paths
from scripts.core.recipes import config_files
from scripts.data.datalist import write_datalist
from scripts.data.stain_jitter import RandStainJitterd
from scripts.inference import load_model
from scripts.inference.quality import FAST
from scripts.networks.classifier import TissueClassifier
from scripts.networks.segmenter import DeepLabV3Plus
from scripts.pseudo_masks.consensus import CONSENSUS
from scripts.run.tracking import tracking_uri
from scripts.training.temperature import fit_temperature
from scripts.weights.description import describe, read_description
from scripts.weights.files import load_weights, save_weights
from scripts.weights.untrained import untrained_network
from tiny import TinyExtractor

FACTS = DatasetFacts(classes=("a", "b", "c"))
SIZE = 32
FLIPS = ((), (2,), (3,), (2, 3))
# what the classifier of these tests says of any image; the gate's threshold lies between the first two
PROBABILITIES, THRESHOLD = (0.2, 0.5, 0.9), 0.37
TINY = {
    "train_classifier": {"extractor": {"_target_": "tiny.TinyExtractor"}, "network_def#layers": ["a", "b", "c"]},
    "train": {
        "extractor": {"_target_": "tiny.TinyExtractor"},
        "network_def#high_layer": "c",
        "network_def#low_layer": "b",
        "network_def#channels": 8,
    },
}
# eight pixels of each of two classes, all others of the first
RARE = np.zeros((SIZE, SIZE), int)
RARE[0, :8], RARE[0, 8:16] = 1, 2
LABELS = [(1, 1, 1), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0)]  # of the training patches
# every way to turn or mirror a square
WAYS = [(turns, mirrored) for turns in range(4) for mirrored in (False, True)]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A prepared dataset whose pixels tell their class: 60, 140 or 220 in training and validation, noise in the test."""
    folder, rng = tmp_path_factory.mktemp("wiring"), np.random.default_rng(0)
    data, masks = folder / "data", folder / "out/pseudo_masks"
    sections = {"training": [], "validation": [], "test": []}
    for section, count in (("training", 6), ("validation", 1), ("test", 2)):
        for i in range(count):
            mask = RARE if section == "validation" else rng.integers(0, 3, (SIZE, SIZE))
            image = np.repeat((60 + 80 * mask)[..., None], 3, axis=2)
            name = f"{section}{i}"
            if section == "test":
                image = rng.integers(1, 255, (SIZE, SIZE, 3))
                image[0, 0], image[0, 1] = 0, 255
            write_image(data / f"{name}.png", image.astype(np.uint8))
            write_mask(data / f"{name}_mask.png", mask, FACTS)
            for path in pseudo_mask_paths(masks, (CONSENSUS, "x", "y"), name):
                write_mask(path, mask, FACTS)
            sections[section].append({"image": f"{name}.png", "mask": f"{name}_mask.png"})
    for entry, label in zip(sections["training"], LABELS, strict=True):
        entry["label"] = list(label)
    write_datalist(data / "datalist.json", FACTS, sections)
    (masks / "summary.json").write_text("{}")
    _write_models(folder / "models", data / "test0.png")
    return {"dataset_dir": str(data), "output_dir": str(folder / "out"), "model_dir": str(folder / "models")}


def _write_models(folder, image):
    """A segmenter that gives each class about as many pixels of an image as the others, a classifier that is always sure."""
    torch.manual_seed(1)
    classifier = TissueClassifier(TinyExtractor(), 3)
    segmenter = DeepLabV3Plus(TinyExtractor(), 3, channels=8, low_channels=4, rates=(1, 2)).eval()
    with torch.no_grad():
        deepest = classifier.extractor.c[0]
        deepest.weight.zero_()
        deepest.bias.fill_(1.0)
        for head, p in zip(classifier.class_head.weight, PROBABILITIES, strict=True):
            head.fill_(log(p / (1 - p)) / len(head))
        segmenter.decoder[-1].weight.mul_(50)
        segmenter.decoder[-1].bias -= segmenter(_unit(image)).mean((0, 2, 3))
    content = describe(classifier, "classifier", FACTS, (SIZE, SIZE), gate_threshold=THRESHOLD)
    save_weights(folder / "classifier.pt", classifier, content)
    content = describe(segmenter, "segmenter", FACTS, (SIZE, SIZE), inference={"flips": True, "window_scales": [1.0]})
    save_weights(folder / "model.pt", segmenter, content)


def _unit(path):
    return torch.from_numpy(read_image(path).transpose(2, 0, 1).astype(np.float32))[None] / 255


def _workflow(stage, places, recipe=None, **overrides):
    """A stage on tiny networks; those of a recipe are its own, and not built by what the tests ask for."""
    workflow = ConfigWorkflow(
        config_file=config_files(stage, recipe), workflow_type=None, logging_file=False, progress=False,
        device="$torch.device('cpu')", **places, **({} if recipe else TINY.get(stage, {})), **overrides,
    )  # fmt: skip
    workflow.initialize()
    return workflow


def _of(workflow, *names):
    found = [workflow.parser.get_parsed_content(name) for name in names]
    return found if len(names) > 1 else found[0]


@contextmanager
def _seen(network):
    """The images that a network is asked about."""
    images = []
    hook = network.register_forward_pre_hook(lambda _module, inputs: images.extend(inputs[0].detach().cpu().clone()))
    yield images
    hook.remove()


def _same(found, expected):
    """Whether two collections of images hold the very same ones, in any order."""
    key = [sorted(image.contiguous().numpy().tobytes() for image in images) for images in (found, expected)]
    return key[0] == key[1]


def _state(network):
    return {k: v.detach().clone() for k, v in network.state_dict().items() if v.is_floating_point()}


# --- training --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def trained(places, tmp_path_factory):
    """The segmenter's training over three epochs of three batches, watched."""
    folder = tmp_path_factory.mktemp("trained")
    workflow = _workflow(
        "train", {**places, "model_dir": str(folder)},
        max_epochs=3, batch_size=2, ema_epochs=2.0, learning_rate=0.01, amp=False,
    )  # fmt: skip
    network, ema, trainer, evaluator, stage = _of(workflow, "network", "ema", "train#trainer", "validate#evaluator", "stage")
    networks = {"network": network, "average": ema.ema_model}
    watched = {**networks, "steps": [_state(network)], "calls": [], "phase": "training", "folder": folder}
    for name, module in networks.items():
        module.register_forward_hook(lambda m, _i, _o, n=name: watched["calls"].append((n, watched["phase"], m.training)))
    evaluator.add_event_handler(Events.STARTED, lambda: watched.update(phase="validation"))
    evaluator.add_event_handler(Events.COMPLETED, lambda: watched.update(phase="training"))
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: watched["steps"].append(_state(network)))
    workflow.run()
    return {**watched, "last": torch.load(Path(stage.folder) / "last.pt", weights_only=True)}


def test_the_average_is_over_the_last_steps(trained):
    """Three batches make an epoch, so that two epochs are six steps: each weighs a sixth of what is left."""
    first, *steps = trained["steps"]
    assert len(steps) == 9
    for name, value in first.items():
        for step in steps:
            value = value * (1 - 1 / 6) + step[name] / 6
        torch.testing.assert_close(trained["average"].state_dict()[name], value, rtol=1e-4, atol=1e-6)
    assert any((steps[-1][k] - v).abs().max() > 1e-2 for k, v in _state(trained["average"]).items())


def test_the_averaged_network_is_validated_and_teaches(trained):
    calls = trained["calls"]
    assert {c for c in calls if c[1] == "validation"} == {("average", "validation", False)}
    assert calls.count(("average", "validation", False)) >= 3
    # the teacher has a share from 40 % of the steps on: of the last five of nine
    assert calls.count(("network", "training", True)) == 9 and calls.count(("average", "training", False)) == 5
    assert {c for c in calls if c[1] == "training"} == {("network", "training", True), ("average", "training", False)}


def test_the_averaged_network_is_kept_and_the_other_one_goes_on(trained):
    kept = torch.load(trained["folder"] / "model.pt", weights_only=True)
    average, last = _state(trained["average"]), _state(trained["network"])
    assert all(torch.equal(kept[k], v) and torch.equal(trained["last"]["averaged"][k], v) for k, v in average.items())
    assert all(torch.equal(trained["last"]["network"][k], v) for k, v in last.items())
    assert any(not torch.equal(kept[k], v) for k, v in last.items())


def test_the_temperature_of_the_kept_network_is_fitted_on_the_validation_s_pixels_and_recorded(trained, places):
    folder = Path(places["dataset_dir"])
    with torch.no_grad():
        logits = trained["average"].eval()(_unit(folder / "validation0.png"))[0].flatten(1).T
    labels = torch.from_numpy(read_mask(folder / "validation0_mask.png").astype(int)).flatten()
    expected = fit_temperature(logits, labels)
    assert read_description(trained["folder"] / "model.pt").scores["temperature"] == pytest.approx(expected, abs=2e-3)
    history = json.loads((Path(places["output_dir"]) / "train/history.json").read_text())
    assert all(0.25 <= row["val_temperature"] <= 8 for row in history) and expected != 1


@pytest.mark.parametrize("ema_epochs", [0, 0.5])
def test_one_network_teaches_is_validated_and_is_kept(places, ema_epochs):
    workflow = _workflow("train", places, ema_epochs=ema_epochs)
    network, ema, averaged, teacher, evaluator, session = _of(
        workflow, "network", "ema", "averaged", "teacher", "validate#evaluator", "session"
    )
    one = ema.ema_model if ema_epochs else network
    assert averaged is one and teacher.teacher is one and evaluator.network is one and session.best.network is one
    assert session.network is network and session.trainer.network is network and ema.model is network
    assert (ema in session.attach) == bool(ema_epochs) and teacher in session.attach


class Scripted:
    """An inferer that gives the answers of the epoch that a trainer is in."""

    def __init__(self, trainer, answers):
        self.trainer, self.answers = trainer, answers

    def __call__(self, inputs, network, *_args, **_kwargs):
        return self.answers[self.trainer.state.epoch - 1].to(inputs)


def _epochs(stage, places, folder, answers, **overrides):
    """How many epochs a training runs whose validation has scripted answers, and which one's weights it keeps."""
    workflow = _workflow(stage, {**places, "model_dir": str(folder)}, max_epochs=3, batch_size=4, amp=False, **overrides)
    trainer, evaluator, network = _of(workflow, "train#trainer", "validate#evaluator", "network")
    network = _of(workflow, "averaged") if stage == "train" else network
    evaluator.inferer = Scripted(trainer, answers(workflow))
    states = []
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: states.append(_state(network)))
    workflow.run()
    path = folder / ("model.pt" if stage == "train" else "classifier.pt")
    kept = torch.load(path, weights_only=True)
    equal = [number for number, state in enumerate(states, 1) if all(torch.equal(kept[k], v) for k, v in state.items())]
    assert equal == [read_description(path).scores["epoch"]]
    return len(states), *equal


@pytest.mark.parametrize(
    ("settings", "ran", "kept"),
    [({}, 3, 3), ({"keep": "mean_ap"}, 3, 1), ({"patience": 1}, 2, 2), ({"keep": "mean_ap", "patience": 1}, 2, 1), ({"val_interval": 5}, 3, 3)],
)  # fmt: skip
def test_the_classifier_of_the_last_epoch_is_kept_or_that_of_the_score_asked_for(places, tmp_path, settings, ran, kept):
    """By mean AP the first epoch is the best, by every other score the second. Training stops early where asked to."""
    data = tmp_path / "data"
    copytree(places["dataset_dir"], data)
    content = json.loads((data / "datalist.json").read_text())
    (data / "datalist.json").write_text(json.dumps({**content, "validation": []}))

    def answers(workflow):
        label = torch.cat([batch["label"] for batch in _of(workflow, "validate#dataloader")])
        assert len(label) == 4 and 0 < label[:, 0].sum() < 4  # of one batch
        ranked = label - 5
        exact = 10 * label - 5
        exact[label[:, 0].argmin(), 0] = 9  # one mistake, but ranked first
        return [ranked, exact, exact]

    places = {**places, "dataset_dir": str(data)}
    assert _epochs("train_classifier", places, tmp_path, answers, holdout=0.6, **settings) == (ran, kept)


def test_the_classifier_validates_on_windows_of_the_regions_that_validate_the_segmenter(places):
    """The region has eight pixels of 1024 of two classes, at 2 % of them no part of its label."""
    (entry,), (region,) = (_of(_workflow(stage, places), "data")["validation"] for stage in ("train_classifier", "train"))
    assert entry["image"] == region["image"] and entry["label"].tolist() == [1, 0, 0] and entry["corner"] == (0, 0)
    (batch,) = _of(_workflow("train_classifier", places), "validate#dataloader")
    torch.testing.assert_close(batch["image"], _unit(region["image"]))


def test_windows_of_a_region_are_parts_of_it(places, tmp_path):
    """The left one is of the first class alone, the right one of the last."""
    data = tmp_path / "data"
    copytree(places["dataset_dir"], data)
    mask = np.repeat([[0, 2]], SIZE, axis=1).repeat(SIZE, axis=0)
    write_image(data / "validation0.png", np.repeat((60 + 80 * mask)[..., None], 3, axis=2).astype(np.uint8))
    write_mask(data / "validation0_mask.png", mask, FACTS)
    (batch,) = _of(_workflow("train_classifier", {**places, "dataset_dir": str(data)}), "validate#dataloader")
    torch.testing.assert_close(batch["image"], torch.cat(_unit(data / "validation0.png").split(SIZE, dim=3)))
    assert batch["label"].tolist() == [[1, 0, 0], [0, 0, 1]]


def test_validation_patches_of_a_table_get_pseudo_masks_that_the_segmenter_validates_on(places, tmp_path):
    data = tmp_path / "data"
    copytree(places["dataset_dir"], data)
    content = json.loads((data / "datalist.json").read_text())
    content["validation"] = [{"image": e["image"], "label": e["label"]} for e in content["training"][:2]]
    content["training"] = content["training"][2:]
    (data / "datalist.json").write_text(json.dumps(content))
    places = {**places, "dataset_dir": str(data), "output_dir": str(tmp_path / "out")}
    _workflow("generate_pseudo_masks", places, layers=["b", "c"], consensus=[0.0, 1.0], **{"masker#refinement": None}).run()
    data = _of(_workflow("train", places), "data")
    masks = tmp_path / "out/pseudo_masks"
    assert [e["label"] for e in data["validation"]] == [str(masks / f"validation/consensus/training{k}.png") for k in (0, 1)]
    assert [e["label"] for e in data["training"]] == [[str(masks / f"consensus/training{k}.png")] for k in (2, 3, 4, 5)]
    assert json.loads((masks / "summary.json").read_text())["validation"]["patches"] == 2


@pytest.mark.parametrize(("keep", "kept"), [({}, 2), ({"keep": "miou"}, 1), ({"keep": "fwiou"}, 2)])
def test_the_segmenter_of_the_last_epoch_is_kept_or_that_of_the_score_asked_for(places, tmp_path, keep, kept):
    """The first epoch has the higher mIoU, the second the higher FwIoU; training stops by mIoU."""

    def answers(_workflow):
        lost = RARE.copy()
        lost[16:24] = 1  # a quarter of the common class
        maps = [torch.from_numpy(np.eye(3)[mask]).permute(2, 0, 1)[None] for mask in (lost, np.zeros_like(RARE))]
        return [*maps, maps[1]]

    assert _epochs("train", places, tmp_path, answers, patience=1, **keep) == (2, kept)


def test_weights_say_how_they_are_used(places):
    def described(stage, **settings):
        return _of(_workflow(stage, places, **settings), "description")

    assert described("train_classifier")["gate_threshold"] == 0.1
    assert described("train_classifier", gate_threshold=0.37)["gate_threshold"] == 0.37
    assert described("train")["inference"] == FAST
    other = {"flips": False, "window_scales": [0.5]}
    assert described("train", inference=other)["inference"] == other
    assert ConfigParser.load_config_file(config_files("import_checkpoint")[0])["gate_threshold"] == 0.1


@pytest.mark.parametrize(("kind", "layer"), [("classifier", "stage6"), ("segmenter", "stage7")])
def test_the_networks_that_are_trained_have_features_of_stride_16(kind, layer):
    """What dilation does to them is tested with the extractor."""
    extractor = untrained_network(kind, 3).extractor.eval()
    with torch.no_grad():
        assert extractor(torch.zeros(1, 3, 64, 64))[layer].shape[2:] == (4, 4)


# --- augmentation ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("stage", "recipe", "ways"),
    [
        ("train", None, WAYS),
        ("train", "fully_supervised", WAYS),
        ("train", "paper", [(0, False), (0, True)]),
        ("train_classifier", None, WAYS),
        ("train_classifier", "paper", [(0, False), (0, True), (2, False), (2, True)]),
    ],
)
def test_masks_are_turned_with_their_images_in_every_way_that_there_is(places, stage, recipe, ways):
    layers = {"layers": ["x", "y"]} if stage == "train" else {}
    dataset = _of(_workflow(stage, places, recipe, **layers), "train#dataset")
    dataset.transform.set_random_state(0)
    for transform in dataset.transform.transforms:
        if isinstance(transform, (RandStainJitterd, RandGaussianSmoothd)):
            transform.prob = 0.0
    seen = set()
    for item in [item for _ in range(16) for item in dataset]:
        pixels = item["image"].numpy() * 255
        classes = ((pixels[0] - 60) / 80).round().astype(int)
        assert np.abs(pixels - (60 + 80 * classes)).max() < 1e-3
        if stage == "train":
            assert len(item["label"]) == (1 if recipe == "fully_supervised" else 2)
            assert all(np.array_equal(mask, classes) for mask in item["label"].numpy())
        original = read_mask(Path(places["dataset_dir"], f"{item['name']}_mask.png"))
        (way,) = [way for way in WAYS if np.array_equal(classes, _turned(original, *way))]
        seen.add(way)
    assert seen == set(ways)


def _turned(mask, turns, mirrored):
    mask = np.rot90(mask, turns)
    return mask[:, ::-1] if mirrored else mask


@pytest.mark.parametrize("stage", ["train", "train_classifier"])
def test_every_epoch_has_its_own_augmentation_wherever_training_begins(places, stage):
    """Patches of some epochs of a training from its first epoch on, and of one that is continued at its second."""

    def epochs(*numbers, seed=0):
        trainer, loader = _of(_workflow(stage, places, seed=seed, batch_size=2), "train#trainer", "train#dataloader")
        for number in numbers:
            trainer.state.epoch = number
            trainer.fire_event(Events.EPOCH_STARTED)
            yield {n: image for batch in loader for n, image in zip(batch["name"], batch["image"], strict=True)}

    first, second, third = epochs(1, 2, 3)
    (continued,), (other,) = epochs(2), epochs(2, seed=1)
    assert len(first) >= 4 and len({tuple(epoch) for epoch in (first, second, third)}) > 1
    assert list(continued) == list(second) and all(torch.equal(continued[name], second[name]) for name in second)
    for one, another in ((first, second), (second, third), (first, third), (second, other)):
        assert all(not torch.equal(one[name], another[name]) for name in one.keys() & another.keys())


# --- what networks see, and what becomes of their answers ------------------------------------------------------------
@pytest.mark.parametrize("stage", ["train", "train_classifier"])
def test_images_of_validation_are_bytes_divided_by_255(places, stage):
    dataset = _of(_workflow(stage, places), "validate#dataset")
    for item, entry in zip(dataset, dataset.data, strict=True):
        assert item["image"].dtype == torch.float32 and torch.equal(item["image"], _unit(entry["image"])[0])


@pytest.fixture(scope="module")
def scored(places):
    """The test images, their truth, and what the segmenter says of them with (``True``) and without flips."""
    segmenter = load_weights(Path(places["model_dir"], "model.pt"), "segmenter").network
    found = {}
    for name in ("test0", "test1"):
        path = Path(places["dataset_dir"], f"{name}.png")
        image = _unit(path)
        with torch.no_grad():
            each = [torch.softmax(segmenter(image.flip(a)), 1).flip(a)[0] for a in FLIPS]
        mean = torch.stack(each).mean(0)
        assert set(mean.argmax(0).unique().tolist()) == {0, 1, 2} and not torch.equal(mean.argmax(0), each[0].argmax(0))
        truth = read_mask(path.with_name(f"{name}_mask.png"))
        found[name] = {"path": path, "image": image, "truth": truth, True: mean, False: each[0]}
    assert all(item["image"].min() == 0 and item["image"].max() == 1 for item in found.values())
    return found


def _label_map(probability, gated=()):
    probability = probability.clone()
    probability[list(gated)] = 0
    return probability.argmax(0).numpy()


def _shown(scored, flips=True):
    """What a network is shown of images in one pass."""
    return [item["image"][0].flip([d - 1 for d in a]) for item in scored.values() for a in (FLIPS if flips else FLIPS[:1])]


@pytest.mark.parametrize(
    ("settings", "flips", "gated"),
    [
        ({}, True, [0]),
        ({"flips": False}, False, [0]),
        ({"gate_threshold": 0.1}, True, []),
        ({"gate_threshold": 0.6}, True, [0, 1]),
        ({"gated": False}, True, []),
    ],
)
def test_inference_uses_weights_as_they_say_unless_told_otherwise(places, scored, tmp_path, settings, flips, gated):
    """The classifier gives 0.2, 0.5 and 0.9 everywhere; its description has a threshold of 0.37, the segmenter's has flips."""
    data, folder = str(Path(places["dataset_dir"], "datalist.json")), Path(places["output_dir"], "inference")
    workflow = _workflow("inference", {**places, "dataset_dir": data}, amp=False, **settings)
    network = _of(workflow, "network")
    with _seen(network.segmenter) as images:
        workflow.run()
    assert _same(images, _shown(scored, flips))
    model = load_model(places["model_dir"], "cpu", amp=False, **settings)
    for name, item in scored.items():
        expected = _label_map(item[flips], gated)
        assert np.array_equal(read_mask(folder / f"{name}_mask.png"), expected)
        assert np.array_equal(model.segment(item["path"]).label_map, expected)


def test_the_interface_for_python_shows_networks_the_same(places, scored):
    model = load_model(places["model_dir"], "cpu", amp=False)
    path, expected = scored["test0"]["path"], _shown({"test0": scored["test0"]})
    for network, ask in ((model.network.segmenter, model.segment), (model.network.classifier, model.classify)):
        with _seen(network) as images:
            ask(path)
        assert _same(images, expected)
    assert list(model.classify(path).values()) == pytest.approx(PROBABILITIES)
    with _seen(model.network.classifier.extractor) as images:
        model.class_activation_maps(path)
    assert _same(images, expected)


def test_evaluation_scores_the_segmenter_without_and_with_the_gate(places, scored):
    workflow = _workflow("evaluate", places, amp=False)
    network, evaluator, stage = _of(workflow, "network", "evaluator", "stage")
    with _seen(network.gated.segmenter) as images:
        workflow.run()
    assert _same(images, _shown(scored))
    folder = Path(stage.folder)
    results = json.loads((folder / "metrics.json").read_text())
    for method, name, gated in (("segmenter", "segmenter", []), ("segmenter + gate", "segmenter_and_gate", [0])):
        confusion = np.zeros((3, 3), int)
        for image, item in scored.items():
            expected = _label_map(item[True], gated)
            assert np.array_equal(read_mask(folder / f"label_maps/{name}/{image}.png"), expected)
            np.add.at(confusion, (item["truth"], expected), 1)
        assert np.array_equal(np.array(results["scores"][method]["confusion"])[:, :3], confusion)
    # they differ where a gated class wins, and nowhere else
    maps = [read_mask(folder / f"label_maps/{name}/test0.png") for name in ("segmenter", "segmenter_and_gate")]
    assert np.array_equal(maps[0] != maps[1], maps[0] == 0) and 0 < (maps[0] == 0).mean() < 1
    assert results["method"] == "segmenter + gate"
    assert evaluator.state.metrics["miou"] == pytest.approx(results["scores"]["segmenter + gate"]["miou"])
    own = np.bincount(3 * scored["test0"]["truth"].ravel() + maps[1].ravel(), minlength=9).reshape(3, 3)
    assert np.array_equal(np.array(results["images"]["test0"]["confusion"])[:, :3], own)


@pytest.mark.parametrize(
    ("settings", "flips", "gated"),
    [({"gated": False}, True, [0]), ({"flips": False}, False, [0]), ({"gate_threshold": 0.6}, True, [0, 1])],
)
def test_evaluation_follows_its_settings(places, scored, settings, flips, gated):
    workflow = _workflow("evaluate", places, amp=False, **settings)
    evaluator, evaluation, network, masker = _of(workflow, "evaluator", "evaluation", "network", "masker")
    with _seen(masker.classifier.extractor) as images:
        masker.maps(scored["test0"]["image"], torch.ones(1, 3))
    assert _same(images, _shown({"test0": scored["test0"]}, flips))
    with _seen(network.gated.segmenter) as images:
        evaluator.run()
    assert _same(images, _shown(scored, flips))
    scores = evaluation.results()["scores"]
    method = "segmenter" if settings.get("gated") is False else "segmenter + gate"
    assert evaluator.state.metrics["miou"] == pytest.approx(scores[method]["miou"])
    confusion = np.zeros((3, 3), int)
    for item in scored.values():
        np.add.at(confusion, (item["truth"], _label_map(item[flips], gated)), 1)
    assert np.array_equal(np.array(scores["segmenter + gate"]["confusion"])[:, :3], confusion)


@pytest.mark.parametrize("flips", [True, False])
def test_pseudo_masks_are_made_of_flips_where_asked(places, tmp_path, flips):
    settings = {"layers": ["a", "b"], "consensus": None, "masker#refinement": None, "pseudo_mask_dir": str(tmp_path)}
    workflow = _workflow("generate_pseudo_masks", places, flips=flips, **settings)
    with _seen(_of(workflow, "masker").classifier.extractor) as images:
        workflow.run()
    patches = [_unit(Path(places["dataset_dir"], f"training{i}.png")) for i in range(6)]
    several = [p for p, label in zip(patches, LABELS, strict=True) if sum(label) > 1]
    # once to calibrate, once for the masks
    assert _same(images, [p.flip(a)[0] for p in several for a in (FLIPS if flips else FLIPS[:1])] * 2)


# --- fingerprints ----------------------------------------------------------------------------------------------------
CLASSIFIER, SEGMENTER = ("models/classifier.pt", "models/classifier.json"), ("models/model.pt", "models/model.json")
# what tests/run/test_record.py does not run: a recipe whose data are others, and the stage that is none of the pipeline's
INPUTS = {
    ("train", "fully_supervised"): ("data/training0_mask.png", "data/training2.png", "data/validation0_mask.png"),
    ("inference", None): (*CLASSIFIER, *SEGMENTER),
}


# the files of each stage, by its arguments; what it reads are entries with files, and the facts
OF_STAGE = {
    "train_classifier": {
        "reads": [*(f"data/training{i}.png" for i in range(6)), "data/validation0.png"],
        "weights": ["models/classifier.pt"], "writes": ["models"],
    },
    "generate_pseudo_masks": {
        "inputs": CLASSIFIER, "reads": [f"data/training{i}{end}.png" for i in range(6) for end in ("", "_mask")],
        "outputs": ["out/pseudo_masks/summary.json", "out/pseudo_masks/fingerprint.txt"], "writes": ["out/pseudo_masks"],
    },
    "train": {
        "reads": [*(f"{folder}/training{i}.png" for folder in ("data", "out/pseudo_masks/consensus") for i in range(6)),
                  "data/validation0.png", "data/validation0_mask.png"],
        "weights": ["models/model.pt"], "writes": ["models"],
    },
    "evaluate": {
        "inputs": [*CLASSIFIER, *SEGMENTER],
        "reads": [*(f"data/test{i}{end}.png" for i in range(2) for end in ("", "_mask")),
                  "out/train_classifier/history.json", "out/train/history.json", "out/pseudo_masks/summary.json"],
        "outputs": ["out/evaluate/metrics.json", "out/evaluate/report.html"],
    },
    "report": {
        "inputs": [*CLASSIFIER, *SEGMENTER],
        "reads": [*(f"data/training{i}.png" for i in range(6)), "data/validation0.png",
                  "out/train_classifier/history.json", "out/train/history.json",
                  "out/pseudo_masks/summary.json", "out/pseudo_masks/fingerprint.txt"],
        "outputs": ["out/report/report.json", "out/report/report.html"],
    },
    "inference": {"inputs": [*CLASSIFIER, *SEGMENTER]},
}  # fmt: skip


def _files(value):
    """Paths in a nest of entries."""
    if isinstance(value, (str, Path)):
        return [value] if Path(value).is_absolute() else []
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    return [file for item in items for file in _files(item)]


@pytest.mark.parametrize("name", OF_STAGE)
def test_a_stage_depends_on_makes_and_holds_what_it_should(places, name):
    stage, folder = _of(_workflow(name, places), "stage"), Path(places["dataset_dir"]).parent
    for key in ("inputs", "reads", "weights", "outputs", "writes"):
        found = {Path(file).relative_to(folder).as_posix() for file in _files(getattr(stage, key))}
        assert found == set(OF_STAGE[name].get(key, [])), key
    assert stage.name == name and ((stage.reads or []).count(FACTS.to_dict()) == 1) is (name != "inference")


@pytest.fixture(scope="module")
def finished(places, tmp_path_factory):
    """A run of its own whose stages are all finished."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    copytree(
        Path(places["dataset_dir"]).parent, folder, ignore=ignore_patterns("mlruns*", "train*", "evaluate", "inference")
    )
    copytree(places["dataset_dir"], folder / "data", dirs_exist_ok=True)
    own = {"dataset_dir": str(folder / "data"), "output_dir": str(folder / "out"), "model_dir": str(folder / "models")}
    segmenter = load_weights(folder / "models/model.pt", "segmenter")

    def stage(name, recipe, **other):
        return _of(_workflow(name, {**own, "output_dir": f"{own['output_dir']}/{recipe}", **other}, recipe), "stage")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking_uri(places["output_dir"]))  # a new one takes seconds
        for key in INPUTS:
            started = stage(*key).start()
            for path in started.weights:
                save_weights(path, segmenter.network, started.made(segmenter.description.content))
            started.finish()
    return folder, stage


@pytest.mark.parametrize(("name", "recipe", "file"), [(*key, file) for key, files in INPUTS.items() for file in files])
def test_a_stage_is_done_again_when_one_of_its_files_changes(finished, name, recipe, file):
    folder, stage = finished
    content = (folder / file).read_bytes()
    assert stage(name, recipe).finished()
    (folder / file).write_bytes(content + b"\n")
    assert not stage(name, recipe).finished()
    (folder / file).write_bytes(content)
    assert stage(name, recipe).finished()


def test_inference_depends_on_a_classifier_where_gated_and_not_on_where_images_lie(finished, tmp_path):
    """Each image's result says what the image was."""
    _, stage = finished
    assert stage("inference", None, dataset_dir=str(tmp_path)).finished()
    ungated = stage("inference", None, gated=False)
    assert [Path(p).name for p in ungated.inputs] == ["model.pt", "model.json"]
