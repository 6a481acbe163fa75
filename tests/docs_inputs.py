"""Small drawn inputs under the names that the pages of the documentation use."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from made_slides import stained
from made_slides import write_slide as write_stained
from old_runs import write, write_old_run
from PIL import Image
from published_files import mxnet_names, published_names, write_narrow_recipe, write_params
from scripts.core.image_writers import write_image
from scripts.data.datalist import write_datalist
from scripts.data.labels import label_from_name
from scripts.data.prepare import prepare
from scripts.demo.dataset import DEMO_FACTS, write_demo_dataset
from scripts.weights.description import read_description
from scripts.weights.metadata import model_metadata
from scripts.weights.untrained import untrained_network
from small_slides import drawn, write_slide, write_stain_models

CLASSES = DEMO_FACTS.classes
NARROW = "narrow_paper"  # folder of a recipe


class Inputs:
    """Draws what a command reads, in the folder that it runs in.

    Args:
        shared: folder for what all worlds have in common.
        store: content of an empty store of MLflow's.
        trained: folder of a run; ``None``: no page asks for one yet.
    """

    def __init__(self, shared: Path, store: bytes, trained: Path | None = None) -> None:
        self.store, self.trained = store, trained
        self.tissue = write_demo_dataset(
            shared / "tissue", num_train=12, num_val=1, num_test=2, patch_size=64, image_size=96, progress=False
        )

    def draw(self, page: str, name: str, folder: Path) -> None:
        """Draw an input where it is one, and is not there yet."""
        make = _DRAWN.get(f"{page}: {name}") or _DRAWN.get(name)
        if make is not None and not any(folder.glob(name.rpartition("///")[2])):
            make(self, folder / name.rpartition("///")[2])

    def patches(self, path: Path) -> None:
        """Patches of four slides, and their table."""
        path.mkdir()
        rows = []
        for number, patch in enumerate(sorted(self.tissue.glob("train/*.png"))):
            shutil.copy(patch, path / f"p{number:02d}.png")
            rows.append([f"p{number:02d}.png", f"slide {number % 4}", 1.0, *label_from_name(patch, len(CLASSES))])
        _table(path / "labels.csv", ["image", "group", "mpp", *CLASSES], rows)

    def images(self, path: Path) -> None:
        shutil.copytree(self.tissue / "test/img", path)

    def datalist(self, path: Path) -> None:
        self.patches(path)
        label = {
            p: label_from_name(t, len(CLASSES))
            for p, t in zip(sorted(path.glob("*.png")), sorted(self.tissue.glob("train/*.png")), strict=True)
        }
        entries = [{"image": p.name, "label": v, "group": str(k % 4)} for k, (p, v) in enumerate(label.items())]
        (path / "labels.csv").unlink()
        write_datalist(path / "datalist.json", DEMO_FACTS, {"training": entries})

    def prepared(self, path: Path) -> None:
        prepare(str(self.tissue), str(path), dataset=DEMO_FACTS.to_dict(), layout="luad", progress=False)

    def published_set(self, path: Path) -> None:
        shutil.copytree(self.tissue, path)

    def regions(self, path: Path, names: tuple[str, str] = ("images", "masks"), size: tuple[int, int] = (112, 224)) -> None:
        """Two tissues side by side, in regions of six cases."""
        rng = np.random.default_rng(0)
        for number in range(6):
            mask = np.zeros(size, np.uint8)
            mask[:, size[1] // 4 + 8 * number :] = 1
            image = np.where(mask[..., None] == 0, np.uint8([150, 60, 120]), np.uint8([200, 130, 170]))
            write_image(path / names[0] / f"r{number}.png", image + rng.integers(0, 40, image.shape, dtype=np.uint8))
            (path / names[1]).mkdir(exist_ok=True)
            Image.fromarray(mask).save(path / names[1] / f"r{number}.png")

    def outlined(self, path: Path) -> None:
        self.regions(path, ("pictures", "outlines"), (96, 96))

    def slides(self, path: Path) -> None:
        for number, name in enumerate("abc"):
            write_slide(path / f"{name}.tif", drawn(seed=number), mpp=0.5)

    def slides_to_label(self, path: Path, names: str = "ab") -> None:
        for name in names:
            write_slide(path / f"{name}.tif", drawn(720, 800, ord(name)), mpp=0.5)

    def slide_table(self, path: Path) -> None:
        write_slide(path.parent / "others/d.tif", drawn(seed=3), mpp=0.5)
        _table(path, ["slide", "mpp"], [["others/d.tif", 0.5]])

    def annotated_slides(self, path: Path) -> None:
        """Slides of a few patches, a half and two quarters of which are outlined as tissues."""
        path.mkdir()
        for number, name in enumerate("ab"):
            image = np.roll(stained((460, 460), 10), 40 * number, (0, 1))
            write_stained(path / f"{name}.tif", image, levels=1, mpp=1.0)
            boxes = {"tumour": (0, 0, 460, 230), "stroma": (0, 230, 230, 230), "necrosis": (230, 230, 230, 230)}
            features = [_outlined(tissue, *box) for tissue, box in boxes.items()]
            text = json.dumps({"type": "FeatureCollection", "features": features})
            (path / f"{name}.geojson").write_text(text, encoding="utf-8")

    def slide_folders(self, path: Path) -> None:
        rng = np.random.default_rng(0)
        for slide, shade in (("slide_a", 60), ("slide_b", 120)):
            for y in range(0, 96, 32):
                for x in range(0, 64, 32):
                    tissues = ("tumour", "stroma", "tumour+stroma")[(y + x) // 32 % 3]
                    write_image(
                        path / slide / f"{y}_{x}_{tissues}.png", rng.integers(shade, shade + 90, (64, 64, 3), dtype=np.uint8)
                    )

    def run(self, path: Path) -> None:
        shutil.copytree(self.trained, path)

    def models(self, path: Path) -> None:
        shutil.copytree(self.trained / "models", path)

    def models_to_export(self, path: Path) -> None:
        """Weights of networks that are exported in a moment, with the metadata that a training writes beside them."""
        write_stain_models(path)
        write(path / "metadata.json", model_metadata(read_description(path / "model.pt")))

    def runs(self, path: Path) -> None:
        for name in ("one", "two"):
            self.run(path.parent / name)

    def new_store(self, path: Path) -> None:
        path.write_bytes(self.store)

    def old_run(self, path: Path) -> None:
        write_old_run(path.parent)

    def old_models(self, path: Path) -> None:
        """Weights of 0.4 that lie alone, of the default networks."""
        write(path / "classes.json", {**DEMO_FACTS.to_dict(), "patch_size": [64, 64]})
        for kind, name in (("classifier", "classifier.pt"), ("segmenter", "model.pt")):
            torch.save(untrained_network(kind, len(CLASSES)).state_dict(), path / name)

    def published(self, path: Path) -> None:
        """A checkpoint of the paper's networks, narrow."""
        recipe = path.parent / NARROW
        if not recipe.is_dir():
            write_narrow_recipe(recipe)
        kind = "classifier" if path.suffix == ".params" or path.stem == "classifier" else "segmenter"
        network = untrained_network(kind, len(CLASSES), str(recipe))
        if path.suffix == ".params":
            write_params(path, mxnet_names(network))
        else:
            state = published_names(network)
            torch.save(state if kind == "classifier" else {"state_dict": state, "optimizer": {}}, path)

    def package(self, path: Path) -> None:
        """What was packed, unpacked."""
        root = path.parents[1]
        (packed,) = root.parent.glob(f"my_run/package/{root.name}_v*.zip")
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(root.parent)

    def answers(self, path: Path) -> None:
        """Labels of one person; the other differs in one of the patches."""
        rows = [[f"p{k}.png", 3, path.stem, 0, k % 2, int(k == 1 and path.stem == "ben")] for k in range(4)]
        _table(path, ["image", "seconds", "annotator", "cannot_tell", "tumour", "stroma"], rows)


def correct(slides: Path) -> None:
    """What a person does between the commands: give areas another class."""
    path = slides / "a.geojson"
    path.write_text(path.read_text(encoding="utf-8").replace("necrosis", "stroma"), encoding="utf-8")


def answer(labels: Path, classes: Sequence[str]) -> None:
    """What a person does between the commands: label each round that is not labelled yet."""
    head = ["image", "group", "position_y", "position_x", "seconds", "annotator", "cannot_tell", "again", "again_seconds"]
    for folder in labels.glob("round_*"):
        if not (folder / "labels.csv").exists():
            rows = []
            for number, patch in enumerate(json.loads((folder / "patches.json").read_text(encoding="utf-8"))["patches"]):
                marks = [int(k in (number % 3, number % 2)) for k in range(len(classes))]
                rows.append([patch["image"], patch["group"], *patch["position"], 2.0, "ada", 0, "", "", *marks])
            _table(folder / "labels.csv", [*head, *classes], rows)


def _table(path: Path, head: list[str], rows: list[list]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])


def _outlined(name: str, top: int, left: int, height: int, width: int) -> dict:
    ring = [[left, top], [left + width, top], [left + width, top + height], [left, top + height], [left, top]]
    said = {"objectType": "annotation", "classification": {"name": name, "color": [200, 0, 0]}}
    return {"type": "Feature", "id": "x", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": said}


#: What draws which input; a page may mean another one by a name than other pages.
_DRAWN = {
    "my_patches": Inputs.patches,
    "my_images": Inputs.images,
    "IMAGES": Inputs.images,
    "my_list": Inputs.datalist,
    "my_set": Inputs.prepared,
    "DATA": Inputs.prepared,
    "LUAD-HistoSeg": Inputs.published_set,
    "GLAS": Inputs.regions,
    "my_regions": Inputs.outlined,
    "slides": Inputs.slides,
    "scans": Inputs.slides,
    "my_slides": Inputs.slides,
    "slides.csv": Inputs.slide_table,
    "label: my_slides": Inputs.slides_to_label,
    "qupath: my_slides": Inputs.annotated_slides,
    "own_network_loss_recipe: my_slides": Inputs.slide_folders,
    "my_run/models": Inputs.models,
    "export: my_run/models": Inputs.models_to_export,
    "RUN": Inputs.run,
    "runs/*": Inputs.runs,
    "sqlite:///all.db": Inputs.new_store,
    "upgrade_from_0.4: RUN/models": Inputs.old_run,
    "upgrade_from_0.4: MODELS": Inputs.old_models,
    "ilsvrc-cls_rna-a1_cls1000_ep-0001.params": Inputs.published,
    "deeplab-resnet.pth.tar": Inputs.published,
    "classifier.pth": Inputs.published,
    "segmenter.pth": Inputs.published,
    "pathology_tissue_segmentation/configs/inference.yaml": Inputs.package,
    "anna.csv": Inputs.answers,
    "ben.csv": Inputs.answers,
}
