from __future__ import annotations

import csv
import errno
import json
import os
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

import itk
import nibabel
import numpy as np
import pytest
import tifffile
import torchrun
from monai.bundle import ConfigWorkflow
from PIL import Image
from scripts import BUNDLE_ROOT
from scripts.core.errors import root_cause
from scripts.core.facts import DatasetFacts
from scripts.core.geometry import read_geometry
from scripts.core.image_writers import write_image, write_mask
from scripts.core.images import read_mask
from scripts.data.datalist import write_datalist
from scripts.inference import load_model
from tiny import write_models

FACTS = DatasetFacts(classes=("a", "b", "c"), white_background=True, mpp=0.5)
PIXELS = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (5, 6, 3), dtype=np.uint8)).resize(
        (48, 40), Image.Resampling.BICUBIC
    )
)
PLACE = np.array([[0, -0.00025, 0, 7], [0.00025, 0, 0, -4], [0, 0, 1, 5], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"), FACTS)


@pytest.fixture
def infer(models, tmp_path_factory, monkeypatch):
    """Runs inference.yaml into a folder, and gives that of its results."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path_factory.getbasetemp()}/mlruns.db")

    def run(source, output, **settings):
        workflow = ConfigWorkflow(
            str(Path(BUNDLE_ROOT) / "configs/inference.yaml"), workflow_type=None, logging_file=False, progress=False,
            gated=False, dataset_dir=str(source), output_dir=str(output), model_dir=str(models), **settings,
        )  # fmt: skip
        workflow.initialize()
        try:
            workflow.run()
        except RuntimeError as error:
            raise root_cause(error) from None
        return Path(output) / "inference"

    return run


def _areas(folder, name):
    return json.loads((folder / f"{name}_areas.json").read_text())


def _state(folder):
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.glob("*_*.*")}


def _write_itk(path, spacing, origin):
    image = itk.image_from_array(PIXELS, is_vector=True)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    itk.imwrite(image, str(path))


@pytest.mark.parametrize("output_format", ["nii.gz", "nrrd", "png"])
def test_pixel_sizes_and_places_of_files(infer, models, tmp_path, output_format):
    source = tmp_path / "in"
    source.mkdir()
    write_image(source / "unknown.png", PIXELS)
    write_image(source / "stated.png", PIXELS, (1.0, 1.0))
    tifffile.imwrite(source / "tiff.tif", PIXELS, photometric="rgb", resolution=(40000, 40000), resolutionunit="CENTIMETER")
    _write_itk(source / "nrrd.nrrd", [0.001, 0.00025], [3.0, -4.0])
    _write_itk(source / "mha.mha", [0.5, 0.5], [3.0, -4.0])
    nifti = PIXELS.transpose(1, 0, 2)[:, :, None, None]
    nibabel.save(nibabel.Nifti1Image(nifti, PLACE), source / "nifti.nii.gz")
    folder = infer(source, tmp_path / "out", output_format=output_format)
    model, found = load_model(models, gated=False), {}
    for path in sorted(source.iterdir()):
        name = path.name.split(".")[0]
        areas, mask = _areas(folder, name), folder / f"{name}_mask.{output_format}"
        found[name] = (areas["mpp"], areas["mpp_from"], areas["resampled_to"])
        label_map = read_mask(mask, 3)
        assert label_map.shape == (40, 48) and np.array_equal(label_map, model.segment(path).label_map)
        mm2 = [area.get("mm2") for area in areas["areas"].values()]
        pixel = np.prod(areas["mpp"]) * 1e-6 if areas["mpp"] else None
        counts = [area["pixels"] for area in areas["areas"].values()]
        assert mm2 == ([None] * 3 if pixel is None else pytest.approx([n * pixel for n in counts], abs=1e-6))
        if output_format != "png" and name in ("nrrd", "mha", "nifti"):
            np.testing.assert_allclose(read_geometry(mask).affine, read_geometry(path).affine, atol=1e-7)
        elif name != "mha":
            assert read_geometry(mask).mpp == (tuple(areas["mpp"]) if areas["mpp"] else None)
    assert found == {
        "unknown": (None, None, None),
        "stated": ([1.0, 1.0], "file", [80, 96]),
        "tiff": ([0.25, 0.25], "file", [20, 24]),
        "nrrd": ([0.25, 1.0], "file", [20, 96]),
        "mha": (None, None, None),
        "nifti": ([0.25, 0.25], "file", [20, 24]),
    }


@pytest.mark.parametrize("output_format", ["nii.gz", "nrrd", "png"])
def test_maps_of_certainty_lie_on_their_image(infer, models, tmp_path, output_format):
    _write_itk(tmp_path / "in.nrrd", [0.001, 0.00025], [3.0, -4.0])
    folder = infer(tmp_path / "in.nrrd", tmp_path / "out", output_format=output_format, certainty=True, temperature=2.0)
    path = folder / f"in_certainty.{output_format}"
    found = load_model(models, gated=False, temperature=2.0).segment(tmp_path / "in.nrrd")
    assert np.abs(read_mask(path) / 255 - found.certainty).max() <= 0.5 / 255 + 1e-6
    assert _areas(folder, "in")["certainty"] == pytest.approx(found.certainty[found.label_map < 3].mean(), abs=6e-5)
    assert read_geometry(path).mpp == pytest.approx((0.25, 1.0))
    if output_format != "png":
        np.testing.assert_allclose(read_geometry(path).affine, read_geometry(tmp_path / "in.nrrd").affine, atol=1e-7)


def test_the_certainty_of_an_image_without_tissue_is_unknown(infer, tmp_path):
    write_image(tmp_path / "in/white.png", np.full((64, 64, 3), 255, np.uint8))
    folder = infer(tmp_path / "in", tmp_path / "out")
    assert _areas(folder, "white")["certainty"] is None and not list(folder.glob("*_certainty*"))


def test_a_setting_a_list_or_nobody_says_the_pixel_size(infer, tmp_path, caplog):
    write_image(tmp_path / "in/a.png", PIXELS, (0.25, 0.25))
    write_image(tmp_path / "in/b.png", PIXELS)
    write_datalist(tmp_path / "in/datalist.json", FACTS, {"test": [{"image": "a.png", "mpp": 1.0}, {"image": "b.png"}]})
    folder = infer(tmp_path / "in/datalist.json", tmp_path / "one")
    assert [_areas(folder, n)["mpp"] for n in "ab"] == [[1.0, 1.0], [0.5, 0.5]]
    assert [_areas(folder, n)["mpp_from"] for n in "ab"] == ["list", "list"]
    warned = [r.getMessage() for r in caplog.records if r.name == "scripts.inference.pixel_size"]
    assert len(warned) == 1 and "its file says 0.25 µm/px, the list's 1 µm/px counts" in warned[0]
    folder = infer(tmp_path / "in", tmp_path / "two", mpp=2.0)
    assert [_areas(folder, n)["mpp"] for n in "ab"] == [[2.0, 2.0]] * 2
    caplog.clear()
    infer(tmp_path / "in", tmp_path / "three")
    warned = [r.getMessage() for r in caplog.records if r.name == "scripts.inference.pixel_size"]
    assert len(warned) == 1 and "b.png: nothing says its µm/px" in warned[0]


def test_a_known_mismatch_is_an_error_where_nothing_is_resampled(infer, tmp_path):
    write_image(tmp_path / "in/a.png", PIXELS, (0.25, 0.25))
    write_image(tmp_path / "in/b.png", PIXELS)
    with pytest.raises(ValueError, match=r"^mpp: found 0\.25 µm/px, the weights are for 0\.5"):
        infer(tmp_path / "in", tmp_path / "out", mpp=0.25, resample=False)
    with pytest.raises(SystemExit, match=r"1 images were skipped(.|\n)*a\.png: found 0\.25 µm/px"):
        infer(tmp_path / "in", tmp_path / "out", resample=False)
    assert sorted(p.name for p in (tmp_path / "out/inference").glob("*_mask.png")) == ["b_mask.png"]
    with pytest.raises(ValueError, match=r"^mpp: found 0, expected a number from 0\.01 to 100 µm/px"):
        infer(tmp_path / "in", tmp_path / "out", mpp=0)


def test_images_of_more_bits_by_their_range(infer, models, tmp_path):
    write_image(tmp_path / "in/a.png", PIXELS)
    tifffile.imwrite(tmp_path / "in/deep.tif", PIXELS.astype(np.uint16) * 16, photometric="rgb")
    with pytest.raises(SystemExit, match=r"deep\.tif.*16 bits.*value_range"):
        infer(tmp_path / "in", tmp_path / "out")
    folder = infer(tmp_path / "in", tmp_path / "out", value_range=[0, 4080])
    label_map = read_mask(folder / "a_mask.png")
    assert np.array_equal(read_mask(folder / "deep_mask.png"), label_map)
    model = load_model(models, gated=False, value_range=[0, 4080])
    assert np.array_equal(model.segment(tmp_path / "in/deep.tif").label_map, label_map)
    for wrong in ([1, 0], "x", [0]):
        with pytest.raises(ValueError, match="value_range"):
            load_model(models, gated=False, value_range=wrong)


def test_results_inside_the_folder_of_images_are_not_segmented(infer, tmp_path):
    source = tmp_path / "in"
    write_image(source / "a.png", PIXELS)
    folder = infer(source, source)
    before = _state(folder)
    assert set(before) == {"a_mask.png", "a_overlay.png", "a_areas.json"}
    assert infer(source, source) == folder and _state(folder) == before
    other = infer(source, source / "other")
    assert {p.name for p in other.glob("*_mask.png")} == {"a_mask.png"}


def test_two_folders_into_one_output(infer, tmp_path):
    for place, name in (("one", "x"), ("two", "x"), ("two", "z"), ("three", "y")):
        write_image(tmp_path / place / f"{name}.png", PIXELS)
    folder = infer(tmp_path / "one", tmp_path / "out")
    before = _state(folder)
    with pytest.raises(FileExistsError, match=r"x_areas\.json: is the result of .*one.x\.png.*two.x\.png"):
        infer(tmp_path / "two", tmp_path / "out")
    assert _state(folder) == before  # z neither: refused before anything is segmented
    infer(tmp_path / "three", tmp_path / "out")
    assert {name: state for name, state in _state(folder).items() if name in before} == before
    rows = list(csv.reader((folder / "areas.csv").open(encoding="utf-8")))[1:]
    assert [row[0] for row in rows] == [*(str(tmp_path / n) for n in ("one/x.png", "three/y.png")), "all images"]
    assert [int(rows[0][k]) + int(rows[1][k]) for k in (4, 6, 8, 10)] == [int(rows[2][k]) for k in (4, 6, 8, 10)]
    assert sum(int(rows[2][k]) for k in (4, 6, 8, 10)) == 2 * PIXELS.shape[0] * PIXELS.shape[1]  # and white background
    write_image(tmp_path / "one/x.png", PIXELS[:32])
    infer(tmp_path / "one", tmp_path / "out")
    assert read_mask(folder / "x_mask.png").shape == (32, 48)


def test_the_batch_goes_on_whatever_a_file_is_called(infer, tmp_path):
    source = tmp_path / os.fsdecode(b"f\xe9")
    try:
        source.mkdir()
    except OSError:
        pytest.skip("the file system takes no such name")
    write_image(tmp_path / "x.png", PIXELS)
    _write_itk(tmp_path / "x.nrrd", [0.001, 0.001], [3.0, -4.0])
    content = (tmp_path / "x.png").read_bytes()
    names = [b"caf\xe9.png", "é.png".encode(), b"two\nlines.png", b"x" * 240 + b".png", b"._x.png", b"dam\xe4ged.png"]
    for name in names:
        (source / os.fsdecode(name)).write_bytes(content[:100] if b"ged" in name else content)
    (source / os.fsdecode(b"n\xe9.nrrd")).write_bytes((tmp_path / "x.nrrd").read_bytes())
    with pytest.raises(SystemExit) as ended:
        infer(source, tmp_path / "out")
    assert "1 images were skipped" in str(ended.value) and r"dam\xe4ged.png" in str(ended.value)
    str(ended.value).encode("ascii", "strict")
    folder = tmp_path / "out/inference"
    rows = [row[0] for row in csv.reader((folder / "areas.csv").open(encoding="utf-8"))][1:-1]
    assert len(rows) == 5 and any(row.endswith(r"f\xe9/caf\xe9.png") for row in rows)
    masks = {p.name.removesuffix("_mask.png") for p in folder.glob("*_mask.png")}
    assert {r"caf\xe9", "é", r"two\x0alines", r"n\xe9"} < masks and len(masks) == 5
    assert _areas(folder, r"n\xe9")["mpp"] == [1.0, 1.0]
    before = _state(folder)
    with pytest.raises(SystemExit, match="1 images were skipped"):
        infer(source, tmp_path / "out")
    assert _state(folder) == before


def test_results_that_cannot_be_written_end_the_run_with_one_message(infer, tmp_path, monkeypatch):
    for name in "abc":
        write_image(tmp_path / f"in/{name}.png", PIXELS)

    def full(path, *args):
        if path.endswith("b_overlay.png"):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_image(path, *args)

    monkeypatch.setattr("scripts.inference.folder.write_image", full)
    with pytest.raises(OSError, match=r"inference.b: its results cannot be written \(No space left on device\)"):
        infer(tmp_path / "in", tmp_path / "out")
    folder = tmp_path / "out/inference"
    before = _state(folder)
    assert [p.name for p in folder.glob("*_areas.json")] == ["a_areas.json"]
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlruns.db")
    infer(tmp_path / "in", tmp_path / "out")
    after = _state(folder)
    assert len(after) == 9 and all(after[name] == before[name] for name in before if name.startswith("a_"))


def test_a_continued_run_shows_all_its_images(infer, tmp_path, caplog):
    caplog.set_level("INFO")
    write_image(tmp_path / "in/a.png", PIXELS, (0.5, 0.5))
    folder = infer(tmp_path / "in", tmp_path / "out", certainty=True)
    write_image(tmp_path / "in/b.png", PIXELS)
    (tmp_path / "in/c.png").write_bytes((tmp_path / "in/b.png").read_bytes()[:200])
    stamp = (folder / "a_mask.png").stat().st_mtime_ns
    with pytest.raises(SystemExit, match=r"1 images were skipped"):
        infer(tmp_path / "in", tmp_path / "out", certainty=True)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "a_mask.png").stat().st_mtime_ns == stamp and page.count("<figure>") == 2
    assert all(f"<code>{name}_certainty.png</code>" in page for name in "ab") and "c.png" in page
    assert page.count('class="scale"') == 1 and "1 image was skipped" in page and "Versions, seed, commit" in page
    assert f"{folder / 'report.html'} shows them" in caplog.text
    tifffile.imwrite(tmp_path / "deep.tif", PIXELS.astype(np.uint16) * 16, photometric="rgb")
    folder = infer(tmp_path / "deep.tif", tmp_path / "deep", value_range=[0, 4080])
    assert "<figure>" in (folder / "report.html").read_text(encoding="utf-8")
    folder = infer(tmp_path / "deep.tif", tmp_path / "none", value_range=[0, 4080], gallery=0, output_format="nrrd")
    assert "<figure>" not in (folder / "report.html").read_text(encoding="utf-8")


@contextmanager
def _full_disk(size):
    """No file may become larger: as a full disk, for one process."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("output_format", ["png", "nii.gz", "nrrd"])
def test_a_full_disk_is_an_error_of_every_format_and_leaves_nothing_half_written(models, tmp_path, output_format):
    noise = np.random.default_rng(0).integers(0, 4, (400, 400))
    with _full_disk(2000), pytest.raises(OSError, match=r"."):
        write_mask(tmp_path / f"m.{output_format}", noise, FACTS)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_segment_what_one_does(tmp_path):
    """Five images, one of which is none."""
    models = write_models(tmp_path / "models", FACTS)
    rng = np.random.default_rng(0)
    for number in range(4):
        write_image(tmp_path / f"images/i{number}.png", rng.integers(0, 200, (40, 48, 3), dtype=np.uint8))
    (tmp_path / "images/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    places = {"dataset_dir": str(tmp_path / "images"), "model_dir": str(models), "mpp": 0.5, "progress": False}
    said = {}
    for count in (1, 2):
        process = torchrun.start("inference", {**places, "output_dir": str(tmp_path / str(count))}, count)
        said[count], _ = process.communicate(timeout=240)
        assert process.returncode == 1 and "1 images were skipped" in said[count] and "broken.png" in said[count]
    one, two = (tmp_path / f"{count}/inference" for count in (1, 2))
    files = {p.name for p in one.iterdir() if p.suffix in (".png", ".csv")}
    assert len(files) == 9 and files == {p.name for p in two.iterdir() if p.suffix in (".png", ".csv")}
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)
