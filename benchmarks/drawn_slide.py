"""Draws a slide: the demo's tissue in islands on glass, as a pyramid of JPEG tiles that OpenSlide reads with its µm/px.

A few fields are drawn and used again, turned and mirrored, so that a slide of any size takes little time and memory.

    python benchmarks/drawn_slide.py slide.tif --size 20000
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bundle"))

from scripts.core.atomic import atomic_path
from scripts.demo.tissue import draw_tissue

TILE = 256
CELL = 64  # px of level 0: what an outline of tissue is drawn in
GLASS = (243, 242, 244)
LEAST = 600  # px of the longer side of the coarsest level, at least half of it


class Drawing:
    """A slide that is drawn when it is looked at.

    Args:
        size: (H, W) of level 0.
        mpp: µm/px.
        tissue: share of the slide that is tissue.
        seed: equal seeds draw equal slides.
    """

    def __init__(self, size: tuple[int, int], mpp: float, tissue: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.size = size
        self.block, fields = (1024, 6) if max(size) > 4096 else (512, 3)
        drawn = max(64, round(self.block * mpp / 2) * 2)  # at 1 µm/px
        self.levels = [self._fields(rng, drawn, fields)]
        while max(size) >> len(self.levels) > LEAST and self.block >> len(self.levels) > 8:
            self.levels.append([_half(field) for field in self.levels[-1]])
        blocks = [-(-side // self.block) for side in size]
        self.choice = rng.integers(0, fields, blocks)
        self.turn = rng.integers(0, 8, blocks)
        cells = [-(-side // CELL) + 2 for side in size]
        noise = rng.standard_normal(cells, dtype=np.float32)
        far = sum(gaussian_filter(noise, min(cells) / part, mode="nearest") * part for part in (12, 40))
        # nothing touches the slide's edge
        edge = np.minimum.outer(*(np.minimum(np.arange(n), np.arange(n)[::-1]) / n for n in cells))
        far += np.minimum(0, edge - 0.04).astype(np.float32) * 50 * far.std()
        far -= np.quantile(far, 1 - tissue)
        self.outline = np.clip(far / np.abs(np.diff(far, axis=0)).mean() / 2 + 0.5, 0, 1)

    def _fields(self, rng: np.random.Generator, drawn: int, count: int) -> list[np.ndarray]:
        # half of it stroma and half of it fine, all of one stain
        fields = (draw_tissue(rng, (drawn, drawn), variation=0, region=region)[0] for region in [90, 62, 120] * count)
        side = (self.block, self.block)
        return [np.asarray(Image.fromarray(next(fields)).resize(side, Image.Resampling.BICUBIC)) for _ in range(count)]

    def tiles(self, level: int) -> Iterator[np.ndarray]:
        """Tiles of a level, row by row, all of full size."""
        height, width = (side >> level for side in self.size)
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                yield self._tile(level, top, left)

    def _tile(self, level: int, top: int, left: int) -> np.ndarray:
        tile = np.full((TILE, TILE, 3), GLASS, np.uint8)
        scale = CELL / 2**level
        box = (left / scale + 0.5, top / scale + 0.5, (left + TILE) / scale + 0.5, (top + TILE) / scale + 0.5)
        rows, columns = (slice(int(box[at]) - 1, int(box[at + 2]) + 3) for at in (1, 0))
        near = self.outline[max(0, rows.start) : rows.stop, max(0, columns.start) : columns.stop]
        if not near.size or near.max() == 0:
            return tile
        self._stain(tile, level, top, left)
        if near.min() < 1:
            box = (*np.minimum(box[:2], 1e9), *np.minimum(box[2:], self.outline.shape[::-1]))
            inside = tuple(min(TILE, round((box[at + 2] - box[at]) * scale)) for at in (1, 0))
            cover = Image.fromarray(self.outline).resize(inside[::-1], Image.Resampling.BILINEAR, box)
            alpha = np.zeros((TILE, TILE, 1), np.float32)
            alpha[: inside[0], : inside[1], 0] = np.clip((np.asarray(cover) - 0.5) * scale / 2 + 0.5, 0, 1)
            tile = np.rint(tile * alpha + np.float32(GLASS) * (1 - alpha)).astype(np.uint8)
        return tile

    def _stain(self, tile: np.ndarray, level: int, top: int, left: int) -> None:
        side = self.block >> level
        for row in range(top // side, (top + TILE - 1) // side + 1):
            for column in range(left // side, (left + TILE - 1) // side + 1):
                if row >= len(self.choice) or column >= self.choice.shape[1]:
                    continue
                turn = self.turn[row, column]
                field = np.rot90(self.levels[level][self.choice[row, column]], turn % 4)
                field = field[:, ::-1] if turn > 3 else field
                y, x = row * side, column * side
                rows = slice(max(y, top), min(y + side, top + TILE))
                columns = slice(max(x, left), min(x + side, left + TILE))
                tile[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = field[
                    rows.start - y : rows.stop - y, columns.start - x : columns.stop - x
                ]


def _half(field: np.ndarray) -> np.ndarray:
    side = len(field) // 2
    return field.reshape(side, 2, side, 2, 3).mean((1, 3)).round().astype(np.uint8)


def write_drawn_slide(
    path: str | Path,
    size: int | tuple[int, int],
    mpp: float = 0.5,
    tissue: float = 0.4,
    seed: int = 0,
    compression: str = "jpeg",
) -> float:
    """Write a drawn slide.

    Args:
        path: TIFF file.
        size: side in px of level 0, or (H, W).
        mpp: its µm/px.
        tissue: share of it that is tissue, about.
        seed: equal seeds draw equal slides.
        compression: ``"jpeg"`` (needs the package imagecodecs) or ``"zlib"``.

    Returns:
        The share that is tissue, by the outlines drawn (lumens within count).
    """
    size = (size, size) if isinstance(size, int) else tuple(size)
    drawing = Drawing(size, mpp, tissue, seed)
    options = {"compressionargs": {"level": 85}} if compression == "jpeg" else {}
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=True) as file:
        for level in range(len(drawing.levels)):
            file.write(
                drawing.tiles(level), shape=(size[0] >> level, size[1] >> level, 3), dtype=np.uint8, photometric="rgb",
                tile=(TILE, TILE), compression=compression, subfiletype=int(level > 0), metadata=None, maxworkers=1,
                resolution=(1e4 / mpp / 2**level,) * 2, resolutionunit="centimeter", **options,
            )  # fmt: skip
    return float((drawing.outline[1:-1, 1:-1] >= 0.5).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="TIFF file to write")
    parser.add_argument("--size", type=int, nargs="+", default=[20_000], help="side in px, or height and width")
    parser.add_argument("--mpp", type=float, default=0.5, help="µm/px (default 0.5)")
    parser.add_argument("--tissue", type=float, default=0.4, help="share of the slide (default 0.4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compression", choices=("jpeg", "zlib"), default="jpeg")
    options = parser.parse_args()
    size = options.size[0] if len(options.size) == 1 else tuple(options.size[:2])
    share = write_drawn_slide(options.path, size, options.mpp, options.tissue, options.seed, options.compression)
    megabytes = Path(options.path).stat().st_size / 2**20
    print(f"{options.path}: {size} px, tissue {share:.1%}, {megabytes:.0f} MB, {time.process_time():.0f} s of CPU")


if __name__ == "__main__":
    main()
