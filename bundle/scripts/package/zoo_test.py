"""Unit tests of a package in a clone of MONAI's model zoo, which keeps them in ``ci/unit_tests/test_<name>.py``.

``package.yaml`` copies this file beside the zip under that name, from which it knows the package. It runs from the root of
the clone, as all tests there: inference, evaluation and training, each once, on drawn images, by the package's weights.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from monai.bundle import ConfigWorkflow

ROOT = Path("models") / Path(__file__).stem.removeprefix("test_")


class TestPackage(unittest.TestCase):
    """Every config of a person who has the weights runs."""

    def setUp(self) -> None:
        sys.path.append(str(ROOT))
        from scripts.core.image_writers import write_image, write_mask
        from scripts.data.datalist import write_datalist
        from scripts.weights.description import read_description

        self.folder = Path(tempfile.mkdtemp())
        facts = read_description(ROOT / "models" / "model.pt").facts
        height, width = facts.patch_size
        sections: dict[str, list] = {"training": [], "validation": [], "test": []}
        random = np.random.default_rng(0)
        for number in range(6):
            image = random.integers(100, 200, (height, width, 3), dtype=np.uint8)
            present = number % facts.num_classes
            write_image(self.folder / f"data/{number}.png", image)
            for mask in (self.folder / f"data/masks/{number}.png", self.folder / f"out/pseudo_masks/consensus/{number}.png"):
                write_mask(mask, np.full((height, width), present), facts)
            label = [int(k == present) for k in range(facts.num_classes)]
            sections["training"].append({"image": f"{number}.png", "label": label})
        for section in ("validation", "test"):
            sections[section].append({"image": "0.png", "mask": "masks/0.png"})
        write_datalist(self.folder / "data/datalist.json", facts, sections)

    def tearDown(self) -> None:
        shutil.rmtree(self.folder)

    def _run(self, config: str, workflow_type: str, data: str = "data", **settings: object) -> Path:
        """Run a config as the zoo does, and give the folder that it wrote to."""
        from utils import check_workflow  # the zoo's

        workflow = ConfigWorkflow(
            workflow_type=workflow_type,
            config_file=str(ROOT / "configs" / config),
            logging_file=str(ROOT / "configs" / "logging.conf"),
            meta_file=str(ROOT / "configs" / "metadata.json"),
            bundle_root=str(ROOT),
            dataset_dir=str(self.folder / data),
            output_dir=str(self.folder / "out"),
            progress=False,
            **settings,
        )
        check_workflow(workflow, check_properties=True)
        return self.folder / "out"

    def test_infer_config(self) -> None:
        out = self._run("inference.yaml", "infer", "data/datalist.json")
        self.assertEqual(len(list(out.glob("inference/*_mask.png"))), 1)

    def test_eval_config(self) -> None:
        out = self._run("evaluate.yaml", "infer")
        self.assertTrue((out / "evaluate" / "metrics.json").is_file())

    def test_train_config(self) -> None:
        out = self._run("train.json", "train", max_epochs=1)
        self.assertTrue((out / "models" / "model.pt").is_file())


if __name__ == "__main__":
    unittest.main()
