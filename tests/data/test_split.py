from __future__ import annotations

import logging

import numpy as np
import pytest
from scripts.core.facts import DatasetFacts
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import read_image
from scripts.core.names import pseudo_mask_paths
from scripts.data.datalist import write_datalist
from scripts.data.labelled_windows import ReadWindowd, labelled_windows
from scripts.data.split import classifier_data, segmenter_data, split_by_group, supervised_data, validation_patches

FACTS = DatasetFacts(classes=("a", "b"), label_threshold=0.25)


@pytest.fixture
def dataset(tmp_path, rng):
    """Function that makes a dataset of training patches of 16 px of so many groups, and of other entries."""

    def make(groups=10, facts=FACTS, **sections):
        training = []
        for i in range(2 * groups):
            write_image(tmp_path / f"t{i}.png", rng.integers(0, 150, (16, 16, 3), dtype=np.uint8))
            training.append({"image": f"t{i}.png", "label": [1, i % 2], "group": f"g{i // 2}"})
        write_datalist(tmp_path / "datalist.json", facts, {"training": training, **sections})
        return tmp_path

    return make


def _image(folder, name, size, rng, mask=None, facts=FACTS):
    write_image(folder / f"{name}.png", rng.integers(0, 150, (*size, 3), dtype=np.uint8))
    if mask is not None:
        write_mask(folder / f"{name}_mask.png", mask, facts)
    return {"image": f"{name}.png", **({} if mask is None else {"mask": f"{name}_mask.png"})}


def _pseudo(folder, names, layers=("x", "y"), sub=""):
    for name in names:
        for path in pseudo_mask_paths(folder / "p" / sub, layers, name):
            write_mask(path, np.zeros((16, 16)), FACTS)
    return folder / "p"


def _names(entries):
    return [e["name"] for e in entries]


ALL = [f"t{i}" for i in range(20)]


def test_split_by_group_keeps_groups_together():
    entries = [{"name": str(i), "group": str(i // 4)} for i in range(40)]
    kept, held = split_by_group(entries, 0.2, 3)
    assert len(held) == 8 and len(kept) == 32
    assert not {e["group"] for e in kept} & {e["group"] for e in held}
    assert (kept, held) == split_by_group(entries, 0.2, 3)
    assert split_by_group(entries[:4], 0.2, 3) == (entries[:4], entries[:4])


def test_regions_with_masks_validate_both_networks_and_all_patches_train(dataset, tmp_path, rng):
    """24 x 32 px: four windows of 16 px, the lower two shifted inside; more than a quarter of a window makes a label."""
    mask = np.full((24, 32), FACTS.white_value)
    mask[:8, :16], mask[8:12, :16] = 0, 1  # half and a quarter of the first window, a quarter and a quarter of the lower one
    mask[20:, 16:] = 1  # a quarter of the last window
    mask[12, 16] = 1  # and a pixel more
    regions = [_image(tmp_path, "region", (24, 32), rng, mask), _image(tmp_path, "lone", (16, 16), rng)]
    regions[1]["label"] = [0, 1]  # nothing but a label: not asked where others have masks
    folder = dataset(validation=[{**regions[0], "label": [1, 1], "group": "r"}, regions[1]])
    data = classifier_data(folder)
    assert _names(data["training"]) == ALL and all(e["label"].dtype == np.float32 for e in data["training"])
    found = {e["corner"]: e["label"].tolist() for e in data["validation"]}
    assert found == {(0, 0): [1.0, 0.0], (8, 16): [0.0, 1.0]}
    assert set(data["validation"][0]) == {"image", "label", "name", "corner"}
    data = segmenter_data(folder, _pseudo(folder, ALL), ["x", "y"])
    assert _names(data["training"]) == ALL
    assert [e["label"] for e in data["validation"]] == [str(folder / "region_mask.png")]
    assert validation_patches(folder) == []


def test_windows_show_what_their_labels_are_of(tmp_path, rng):
    mask = np.zeros((20, 40))
    mask[:, 24:] = 1
    entry = {**_image(tmp_path, "r", (20, 40), rng, mask), "name": "r"}
    entry = {**entry, "image": str(tmp_path / "r.png"), "mask": str(tmp_path / "r_mask.png")}
    windows = list(labelled_windows(entry, (16, 16), FACTS))
    assert [(w["corner"], w["label"]) for w in windows] == [
        ((0, 0), [1, 0]), ((0, 16), [1, 1]), ((0, 24), [0, 1]), ((4, 0), [1, 0]), ((4, 16), [1, 1]), ((4, 24), [0, 1])
    ]  # fmt: skip
    assert len(set(_names(windows))) == 6
    image = read_image(tmp_path / "r.png")
    read = ReadWindowd("image", (16, 16))
    for window in windows:
        y, x = window["corner"]
        np.testing.assert_array_equal(read(window)["image"].numpy(), image[y : y + 16, x : x + 16].transpose(2, 0, 1))


def test_a_region_smaller_than_a_patch_is_padded_as_training_patches_are(tmp_path, rng):
    entry = {**_image(tmp_path, "r", (4, 16), rng, np.zeros((4, 16))), "name": "r"}
    entry = {**entry, "image": str(tmp_path / "r.png"), "mask": str(tmp_path / "r_mask.png")}
    assert list(labelled_windows(entry, (16, 16), FACTS)) == []  # a quarter of it is tissue, and not more
    (window,) = labelled_windows(entry, (12, 16), FACTS)
    assert window["label"] == [1, 0]
    found = ReadWindowd("image", (12, 16))(window)["image"].numpy()
    np.testing.assert_array_equal(found[:, 4:8], found[:, 3::-1])
    assert found.shape == (3, 12, 16)


@pytest.mark.parametrize("size", [(16, 16), (24, 20)])
def test_what_cannot_be_validated_on_is_named_at_once(dataset, tmp_path, rng, size):
    entry = _image(tmp_path, "v", (24, 20), rng, np.zeros(size) if size == (16, 16) else None)
    folder = dataset(validation=[{**entry, "label": [1, 0]}])
    named = r"v_mask\.png: found \(16, 16\)" if size == (16, 16) else r"v\.png: found \(24, 20\) px .*expected \(16, 16\)"
    with pytest.raises(ValueError, match=named):
        classifier_data(folder)


def test_labelled_validation_patches_validate_both_networks_and_all_patches_train(dataset, tmp_path, rng):
    """As of a table: nothing of it is read by nobody."""
    entries = [{**_image(tmp_path, f"v{k}", (16, 16), rng), "label": [k, 1 - k], "group": "h"} for k in (0, 1)]
    bare = {**_image(tmp_path, "bare", (16, 16), rng), "label": [0, 0]}
    folder = dataset(validation=[*entries, bare])
    data = classifier_data(folder)
    assert _names(data["training"]) == ALL
    assert {e["name"]: e["label"].tolist() for e in data["validation"]} == {"v0": [0.0, 1.0], "v1": [1.0, 0.0]}
    assert ReadWindowd("image", (16, 16))(data["validation"][0])["image"].shape == (3, 16, 16)
    assert _names(validation_patches(folder)) == ["v0", "v1"]
    masks = _pseudo(folder, ALL)
    with pytest.raises(FileNotFoundError, match=r"2 of 42 masks are missing, the first is .*validation/y/v0\.png"):
        segmenter_data(folder, masks, ["x", "y"])
    _pseudo(folder, ["v0", "v1"], sub="validation")
    data = segmenter_data(folder, masks, ["x", "y"])
    assert _names(data["training"]) == ALL
    assert [e["label"] for e in data["validation"]] == [str(masks / f"validation/y/v{k}.png") for k in (0, 1)]


@pytest.mark.parametrize("validation", [[], [{"image": "v.png"}]])
def test_without_validation_section_the_same_groups_are_held_out_for_both_networks(
    dataset, tmp_path, rng, caplog, validation
):
    _image(tmp_path, "v", (16, 16), rng)
    folder = dataset(validation=validation)
    masks = _pseudo(folder, ALL)
    for seed in range(3):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            first, second = classifier_data(folder, 0.2, seed), segmenter_data(folder, masks, ["x", "y"], 0.2, seed)
        held = _names(first["validation"])
        assert len(held) == 4 and held == _names(second["validation"])
        assert _names(first["training"]) == _names(second["training"]) == [n for n in ALL if n not in held]
        assert [e["label"] for e in second["validation"]] == [str(masks / f"y/{name}.png") for name in held]
        said = [r.getMessage() for r in caplog.records]
        groups = sorted({f"g{int(name[1:]) // 2}" for name in held})
        assert len(said) == 2 and all(
            text.endswith(f"held out of training: groups {', '.join(groups)} (2)") for text in said
        )


@pytest.mark.parametrize(("groups", "holdout"), [(1, 0.1), (10, 0.0)])
def test_nothing_held_out_is_said_loudly(dataset, caplog, groups, holdout):
    folder = dataset(groups=groups)
    data = classifier_data(folder, holdout)
    assert len(data["training"]) == 2 * groups and set(_names(data["validation"])) == {"t0", "t1"}
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "validation scores come from patches that train (group g0)" in record.getMessage()
    assert "holdout above 0, or a validation section" in record.getMessage()


def test_regions_without_tissue_alone_are_no_hold_out_for_a_classifier(dataset, tmp_path, rng):
    folder = dataset(validation=[_image(tmp_path, "r", (32, 32), rng, np.full((32, 32), FACTS.white_value))])
    data = classifier_data(folder)
    assert len(data["validation"]) == 2 and len(data["training"]) == 18


def test_full_supervision_validates_on_true_masks_alone(dataset, tmp_path, rng):
    folder = dataset()
    with pytest.raises(ValueError, match=r"full supervision needs a true mask .*20 of 20 have none"):
        supervised_data(folder)
    training = [_image(tmp_path, f"t{i}", (16, 16), rng, np.zeros((16, 16))) for i in range(20)]
    training = [{**e, "label": [1, 0], "group": f"g{i // 2}"} for i, e in enumerate(training)]
    labelled = {**_image(tmp_path, "v", (16, 16), rng), "label": [1, 0]}
    write_datalist(folder / "datalist.json", FACTS, {"training": training, "validation": [labelled]})
    data = supervised_data(folder)
    assert len(data["training"]) == 18 and len(data["validation"]) == 2
    masked = _image(tmp_path, "m", (24, 24), rng, np.zeros((24, 24)))
    write_datalist(folder / "datalist.json", FACTS, {"training": training, "validation": [labelled, masked]})
    data = supervised_data(folder)
    assert len(data["training"]) == 20 and _names(data["validation"]) == ["m"]


@pytest.mark.parametrize(
    ("classes", "labels", "message"),
    [
        (("a",), [[1]] * 6, "found a single class, expected two or more"),
        (("a", "b"), [[1, 1]], "found 1 patch to train on; expected two at the very least"),
        (("a", "b"), [[1, 1], [1, 0]], "found 1 patch to train on, of 2, the others being held out; expected two"),
        (
            ("a", "b"),
            [[1, 1]] * 6,
            r"found the label \[1, 1\] for all of 5 patches to train on, expected labels that differ",
        ),
        (("a", "b"), [[1, 1], [1, 0], [0, 1]], None),
    ],
)
def test_what_nothing_can_be_learnt_from_is_refused_and_what_is_needed_is_said(tmp_path, rng, classes, labels, message):
    training = [{**_image(tmp_path, f"t{i}", (16, 16), rng), "label": label} for i, label in enumerate(labels)]
    write_datalist(tmp_path / "datalist.json", DatasetFacts(classes=classes), {"training": training})
    if message is None:
        assert len(classifier_data(tmp_path)["training"]) == 2
        return
    with pytest.raises(ValueError, match=message):
        classifier_data(tmp_path)


def test_a_group_of_number_0_is_a_group():
    entries = [{"name": f"p{i}", "group": i // 3} for i in range(6)]
    kept, held = split_by_group(entries, 0.5, 0)
    assert {len(kept), len(held)} == {3} and len({e["group"] for e in held}) == 1
