"""One slide, from its file to its outputs: rows of labels first, then all that is made from them."""

from __future__ import annotations

import glob
import hashlib
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ..core.extras import extra
from ..core.paths import shown
from ..core.threads import set_threads
from ..inference.model import TissueModel, load_model
from ..inference.windows import WindowLook
from .cohort_inputs import SlideTask
from .damaged_parts import DamagedParts
from .label_rows import LabelRows
from .probability_store import ProbabilityStore
from .slide_files import check_unchanged, slide_state
from .slide_outputs import OUTPUTS, check_outputs, check_packages, write_outputs
from .slide_reading import Slide, open_slide
from .stream import Stream
from .tissue_choice import check_tissue, choose_tissue
from .tissue_mask import TissueMask
from .window_grid import WindowGrid

__all__ = ["SlideSegmenter"]

logger = logging.getLogger(__name__)


@dataclass
class SlideSegmenter:
    """Segments slides with a model; can be pickled, and loads the networks where and when it is first used.

    Args:
        model_dir: folder of weights and their descriptions.
        device: where the networks run; a GPU if there is one by default.
        settings: further settings of :class:`~scripts.inference.TissueModel`.
        mpp: µm/px at which the networks see slides; that of their training patches by default.
        tissue: ``"auto"``, ``"none"`` (the whole slide counts as tissue), or a GeoJSON of regions, see
            :func:`~.tissue_choice.choose_tissue`.
        least_tissue: share of the pixels nearest to a window that tissue must exceed for it to be looked at.
        damaged: what becomes of a slide with parts that cannot be read: ``"paint"`` (they are "not segmented"), ``"fail"``.
        outputs: which of :data:`~.slide_outputs.OUTPUTS` are written.
        simplify: tolerance of the polygons in px of the label map; 0: exact.
        threads: threads that the networks run on.
        fingerprint: identifies networks and settings.
    """

    model_dir: str
    device: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    mpp: float | Sequence[float] | None = None
    tissue: str = "auto"
    least_tissue: float = 0.02
    damaged: str = "paint"
    outputs: Sequence[str] = ("label_map", "geojson", "overlay")
    simplify: float = 1.0
    threads: int | None = None
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if self.damaged not in ("paint", "fail"):
            raise ValueError(f"damaged: found {self.damaged!r}, expected one of paint, fail")
        self.outputs = check_outputs(self.outputs)
        check_tissue(self.tissue)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("model", "seconds_per_window")}

    def ready(self) -> None:
        """Load the networks, and see that all packages are there that the outputs need, before the first slide is read.

        Raises:
            ValueError: nothing says at which µm/px the networks were trained; a package is missing.
        """
        extra("openslide")
        check_packages(self.outputs)
        _ = self.model

    @cached_property
    def model(self) -> TissueModel:
        """The networks; loaded once in a process.

        Raises:
            ValueError: nothing says at which µm/px they were trained.
        """
        set_threads(self.threads)
        model = load_model(self.model_dir, self.device, **self.settings)
        if self.mpp is None and model.facts.mpp is None:
            raise ValueError(
                f"{self.model_dir}: its weights do not say at which µm/px they were trained, without which no slide can be "
                "read for them; say it: --model_mpp 0.5"
            )
        return model

    @property
    def map_mpp(self) -> tuple[float, float]:
        """µm/px (y, x) of the label maps."""
        mpp = self.model.facts.mpp if self.mpp is None else self.mpp
        return (float(mpp), float(mpp)) if isinstance(mpp, (int, float)) else (float(mpp[0]), float(mpp[1]))

    def __call__(self, task: SlideTask, folder: Path, report: Callable[[float], None]) -> dict[str, Any]:
        """Segment a slide into a folder, from where a killed run has left it.

        Args:
            task: the slide, its name and its µm/px where given.
            folder: output folder.
            report: called with the mm² of tissue that are done.

        Returns:
            What is to be known of it: ``areas``, ``outputs``, ``mpp``, ``tissue_mm2``, ...

        Raises:
            ValueError: not a slide, nothing says its µm/px, or none of its tissue can be read.
            UnreadableRegion: a part is damaged, and ``damaged`` is ``"fail"``.
            OSError: the file is gone or has changed, or the folder cannot be written.
        """
        state = slide_state(task.path, alone=True)
        try:
            return self._segmented(task, folder, report, state)
        except OSError:
            check_unchanged(task.path, state)  # which explains parts that cannot be read
            raise

    def _segmented(self, task: SlideTask, folder: Path, report: Callable[[float], None], state: str) -> dict[str, Any]:
        facts, began = self.model.facts, time.monotonic()
        with open_slide(task.path, task.mpp) as slide:
            mask = choose_tissue(slide, self.map_mpp, self.tissue)
            if not mask.area_mm2:
                logger.warning("%s: found no tissue: all is background (--tissue none takes all of it)", shown(task.path))
            labels = self._labels_file(task, slide, folder)
            with LabelRows(labels, slide.grid(self.map_mpp)) as rows:
                zarr = folder / f"{task.name}{OUTPUTS['probabilities']}" if "probabilities" in self.outputs else None
                windows = self._segment(slide, mask, rows, report, zarr, lambda: check_unchanged(task.path, state))
                result = write_outputs(folder, task.name, rows, slide, facts, self.map_mpp, self.outputs, self.simplify)
            labels.unlink()
        return {
            **result,
            "mpp": slide.mpp,
            "mpp_from": slide.mpp_from,
            "map_mpp": self.map_mpp,
            "tissue_mm2": round(mask.area_mm2, 4),
            "windows": windows,
            "seconds": round(time.monotonic() - began, 1),
        }

    def estimate(self, task: SlideTask) -> float:
        """Minutes that a slide will take, by the windows that see tissue.

        Raises:
            ValueError: not a slide, or nothing says its µm/px.
        """
        with open_slide(task.path, task.mpp) as slide:
            mask, grids = choose_tissue(slide, self.map_mpp, self.tissue), self.grids(slide)
            windows = [sum(len(g.lefts(row, mask.rows, self.least_tissue)) for row in range(g.rows)) for g in grids]
        return sum(number * seconds for number, seconds in zip(windows, self.seconds_per_window, strict=True)) / 60

    @cached_property
    def seconds_per_window(self) -> list[float]:
        """Measured on noise: that of one window in a batch, of each size."""
        return [self._seconds(look) for look in self.looks]

    def _seconds(self, look: WindowLook) -> float:
        shape = (look.batch_size, 3, *look.window)
        noise = torch.rand(shape, device=self.model.device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            look(noise)
            began = time.perf_counter()
            float(look(noise)["maps"].sum())  # waits for the device
        return (time.perf_counter() - began) / look.batch_size

    @property
    def looks(self) -> list[WindowLook]:
        """How windows of each size are looked at, the largest first."""
        looks = self.model.inferer.looks(self.model.network)
        return sorted(looks, key=lambda look: math.prod(look.window), reverse=True)

    def grids(self, slide: Slide) -> list[WindowGrid]:
        """Where windows of each size stand, the largest first."""
        size, overlap = slide.grid(self.map_mpp), self.model.inferer.kwargs["overlap"]
        return [WindowGrid(size, look.window, overlap) for look in self.looks]

    def _segment(
        self,
        slide: Slide,
        mask: TissueMask,
        rows: LabelRows,
        report: Callable[[float], None],
        probabilities: Path | None,
        check: Callable[[], None],
    ) -> int:
        model, damaged, store = self.model, DamagedParts(), None
        if probabilities is not None and not ProbabilityStore.is_whole(probabilities, rows.done, rows.size[0]):
            store = ProbabilityStore(probabilities, rows.size, model.facts, self.map_mpp, model.temperature)

        def read(*box: int) -> Any:
            return slide.read(*box, self.map_mpp, damaged.boxes if self.damaged == "paint" else None)

        stream = Stream(
            self.grids(slide), self.looks, model.network.join, read, mask.rows, model.facts.num_classes,
            model.facts.white_value, model.facts.white_background, model.device, self.least_tissue, store is not None,
        )  # fmt: skip
        pixel, done, windows = self.map_mpp[0] * self.map_mpp[1] * 1e-6, 0, 0
        for top in range(0, rows.done, grid_rows := 4096):  # of a killed run
            done += int(mask.rows(top, min(grid_rows, rows.done - top)).sum())
        report(done * pixel)
        for band in stream.bands(rows.done):
            check()  # what is no longer the slide is not taken for damage
            damaged.paint(band.top, band.labels, mask.rows(band.top, len(band.labels)))
            if store is not None:  # before the labels, which say how far it is
                store.write(band.top, band.probabilities)
            rows.append(band.labels)
            done, windows = done + band.tissue, windows + band.windows
            report(done * pixel)
        if damaged.pixels and damaged.pixels == done:
            rows.path.unlink()
            raise ValueError(f"{shown(slide.path)}: none of its tissue can be read; copy it anew, or save it otherwise")
        if store is not None:
            store.finish()
        if damaged.first is not None:
            y, x = slide.to_level0(*damaged.first, self.map_mpp)
            logger.warning(
                "%s: %.4g mm² of its tissue, from y %d, x %d of level 0 on, cannot be read and is \"not segmented\"; "
                "copy the slide anew, or --damaged fail", shown(slide.path), damaged.pixels * pixel, y, x,
            )  # fmt: skip
        return windows

    def _labels_file(self, task: SlideTask, slide: Slide, folder: Path) -> Path:
        """Where the rows go; the name says of what they are, and rows of anything else are removed."""
        state = (self.fingerprint, slide_state(task.path, task.mpp), slide.grid(self.map_mpp))
        name = f".{task.name}.labels"
        path = folder / f"{name}-{hashlib.sha256(repr(state).encode()).hexdigest()[:16]}"
        for other in folder.glob(f"{glob.escape(name)}-*"):
            if other != path:
                other.unlink()
        return path
