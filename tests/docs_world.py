"""A small world in which the commands of a page run as they are written: the bundle beside drawn inputs, narrow networks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fire
import yaml
from docs_inputs import NARROW, Inputs, answer, correct
from docs_pages import BUNDLE, DOCS, OWN, examples, parsed, settings_of
from monai.bundle import ckpt_export, onnx_export, run, verify_net_in_out
from published_files import NARROW as PAPER
from scripts.run.pipeline import STAGES, merge_overrides

MONAI = {"run": run, "verify_net_in_out": verify_net_in_out, "ckpt_export": ckpt_export, "onnx_export": onnx_export}
LAYERS = ["layer2", "layer3", "layer4"]
_NETWORK = {"_target_": "scripts.networks.ResNet", "blocks": [1, 1, 1, 1], "width": 1 / 16}
_SHORT = {stage: {"max_epochs": 1, "batch_size": 4} for stage in ("train_classifier", "train")}
_DEFAULT = {
    "train_classifier": {"extractor": _NETWORK, "network_def#layers": LAYERS},
    "generate_pseudo_masks": {
        "layers": LAYERS, "consensus": [1.0] * 4, "masker#refinement#weights": {"layer3": 0.5, "layer4": 0.5},
        "masker#refinement#features": ["layer1"], "flips": False,
    },
    "train": {"extractor": _NETWORK, "network_def#high_layer": "layer4", "network_def#low_layer": "layer1", "network_def#channels": 8},
}  # fmt: skip
_FIELD = {"generate_pseudo_masks": {"masker#refinement#crf#radius": 2, "masker#refinement#crf#iterations": 1}}
#: What makes stages small, by the recipe.
SMALL = {
    None: merge_overrides(_DEFAULT, _FIELD, _SHORT),
    "plain": merge_overrides({**_DEFAULT, "train_classifier": {"extractor": _NETWORK}, "generate_pseudo_masks": {}}, _SHORT, {"train": {"layers": LAYERS}}),
    "paper": merge_overrides(PAPER, _SHORT),
    "my_recipe": merge_overrides(_FIELD, _SHORT),
}  # fmt: skip
#: And other commands.
_SMALL = {
    "demo": {"num_train": 12, "num_val": 1, "num_test": 1, "patch_size": 64, "overrides": SMALL[None]},
    "export": {"num_patches": 4, "num_calibration": 8},
    "import_checkpoint": {"recipe": NARROW},
}
_MAKES_WEIGHTS = ("demo", "pipeline", "train_classifier", "train", "import_checkpoint")


class Command:
    """A command of MONAI's, as a page has it.

    Args:
        words: its words, with ``torchrun`` in the place of ``python`` perhaps.
    """

    def __init__(self, words: list[str]) -> None:
        words = [os.path.expandvars(word) for word in words[words.index("-m") :]]
        self.kind, at = words[2], 3 if words[2] == "run" else 4
        self.ids, self.written = words[3:at], settings_of(words[at:])
        self.settings = {key: parsed(text) for key, text in self.written.items()}
        files = self.settings["config_file"]
        self.files = [files] if isinstance(files, str) else files
        self.name = Path(self.files[0]).stem

    def small(self) -> list[str]:
        """The words for MONAI, with what makes it small."""
        more: dict[str, Any] = {}
        if self.kind == "run":
            # as in a process of its own, where the bundle is that of the config
            more = {"bundle_root": str(Path(self.files[0]).parents[1]), "logging_file": False, **_SMALL.get(self.name, {})}
        if "onnx_int8" in self.settings.get("forms", ()):
            more["graphs"] = ["classifier"]  # drawn segmenters are near ties, which rounding decides otherwise
        stages = SMALL[self.settings.get("recipe")] if self.name in ("pipeline", *STAGES) else {}
        if self.name == "pipeline":
            more["overrides"] = merge_overrides(stages, self.settings.get("overrides", {}))
        else:
            more |= stages.get(self.name, {})
        again = {key: text for key, text in self.written.items() if key != "overrides"}
        texts = {**{key: v if isinstance(v, str) else repr(v) for key, v in more.items()}, **again}
        return [self.kind, *self.ids, *(word for key, text in texts.items() for word in (f"--{key}", text))]

    def setting(self, key: str) -> Any:
        """A setting of the command, or that of its config."""
        return self.settings.get(key, yaml.safe_load(Path(self.files[0]).read_text(encoding="utf-8")).get(key))


class World:
    """The folder in which the commands of one page run, in their order."""

    def __init__(self, folder: Path, page: Path, inputs: Inputs) -> None:
        self.page, self.inputs = page, inputs
        for path in BUNDLE.iterdir():
            if path.name in ("configs", "docs", "scripts"):
                (folder / "bundle").mkdir(exist_ok=True)
                (folder / "bundle" / path.name).symlink_to(path)
        self.folder = folder / "bundle" if page == DOCS / "README.md" else folder
        for name, content in examples().items() if page == OWN else ():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")

    def run(self, command: Command) -> set[Path]:
        """Run a command, with the world as working directory; the files that are new or other than before."""
        self._prepare(command)
        before = self._files()
        fire.Fire(MONAI, command=command.small())
        return {path for path, state in self._files().items() if before.get(path) != state}

    def _prepare(self, command: Command) -> None:
        """Put in place what the command needs."""
        settings = command.settings
        prepares = command.name in ("pipeline", "prepare") and "source" in settings
        if prepares and not settings.get("prepare", {}).get("overwrite"):
            for key in ("dataset_dir", "output_dir"):  # an alternative to a command before it
                shutil.rmtree(self.folder / str(settings.get(key, "-")), ignore_errors=True)
        if self.folder.joinpath("my_labels").is_dir():
            answer(self.folder / "my_labels", ("tumour", "stroma", "fat"))
        if settings.get("prepare") == {"layout": "slides", "patch_size": 224, "overwrite": True}:
            correct(self.folder / "my_slides")
        if command.name == "suggest":
            self.inputs.slides_to_label(self.folder / "my_slides", "d")  # all patches of the others are labelled
        made = {settings.get("dataset_dir")} if prepares else set()
        made |= {settings.get("model_dir")} if command.name in _MAKES_WEIGHTS else set()
        for name in _texts(settings):
            if name not in made:
                self.inputs.draw(self.page.stem, name, self.folder)
        out = Path(settings.get("output_dir", "bundle/output/demo"))
        if not settings.get("dry_run") and "*" not in out.name and not (self.folder / out / "mlruns.db").exists():
            (self.folder / out).mkdir(parents=True, exist_ok=True)
            self.inputs.new_store(self.folder / out / "mlruns.db")

    def _files(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for folder, _, names in os.walk(self.folder):
            for path in (Path(folder, name) for name in names):
                state = path.lstat()
                found[path.relative_to(self.folder)] = (state.st_mtime_ns, state.st_size)
        return found


def _texts(value: Any) -> Iterator[str]:
    """All texts of settings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
