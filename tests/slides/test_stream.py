"""A pass down a slide gives the map of one look at the whole, wherever it begins, and reads each pixel once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts.core.white import white_background
from scripts.inference.windows import MultiWindowInferer, WindowLook
from scripts.networks.gate import gate
from scripts.slides.stream import Stream
from scripts.slides.window_grid import WindowGrid

BACKGROUND = 3


class Slide:
    """A picture whose reads are noted; white beyond its end."""

    def __init__(self, size: tuple[int, int], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (-(-size[0] // 7), -(-size[1] // 7), 3))
        self.pixels = np.kron(coarse, np.ones((7, 7, 1)))[: size[0], : size[1]].astype(np.uint8)
        self.pixels[rng.random(size) < 0.3] = 240
        self.reads = np.zeros(size, int)

    def read(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        out = np.full((height, width, 3), 255, np.uint8)
        part = self.pixels[top : top + height, left : left + width]
        out[: part.shape[0], : part.shape[1]] = part
        self.reads[top : top + height, left : left + width] += 1
        return out


def brightest_channel(batch: torch.Tensor) -> torch.Tensor:
    """Sees no further than a pixel, so that windows and the whole give the same."""
    return torch.nn.functional.one_hot(batch.argmax(dim=1), 3).permute(0, 3, 1, 2).float()


def mask_of(size: tuple[int, int], kind: str, seed: int = 0) -> np.ndarray:
    if kind == "all":
        return np.ones(size, bool)
    mask = np.zeros(size, bool)
    rng = np.random.default_rng(seed)
    for _ in range(4):
        y, x = rng.integers(0, size[0]), rng.integers(0, size[1])
        mask[y : y + size[0] // 3, x : x + size[1] // 3] = True
    return mask


def whole(slide: Slide, mask: np.ndarray, white: bool) -> np.ndarray:
    labels = slide.pixels.argmax(axis=2).astype(np.uint8)
    labels[~mask] = BACKGROUND
    if white:
        beyond = np.pad(slide.pixels, ((50, 50), (50, 50), (0, 0)), constant_values=255)  # glass goes on
        labels[white_background(beyond)[50:-50, 50:-50]] = BACKGROUND
    return labels


def stream(
    slide: Slide,
    mask: np.ndarray,
    window=(32, 48),
    overlap=0.25,
    white=False,
    ask=brightest_channel,
    scales=(1,),
    **settings,
) -> Stream:
    windows = [tuple(round(scale * side) for side in window) for scale in scales]
    return Stream(
        [WindowGrid(mask.shape, window, overlap) for window in windows], [WindowLook(window, 3, ask) for window in windows],
        lambda means: means["maps"], slide.read, lambda top, height: mask[top : top + height], 3, BACKGROUND, white,
        **settings,
    )  # fmt: skip


def joined(bands) -> np.ndarray:
    return np.concatenate([band.labels for band in bands])


CASES = [
    ((200, 310), (32, 48), 0.25, "all", False),
    ((200, 310), (32, 48), 0.25, "some", True),
    ((97, 61), (64, 64), 0.5, "some", False),
    ((20, 15), (32, 32), 0.25, "all", True),  # smaller than a window
    ((150, 400), (32, 32), 0.0, "some", False),
    ((211, 333), (40, 24), 0.7, "some", True),  # each pixel in many rows of windows
]


@pytest.mark.parametrize("scales", [(1,), (1, 0.5), (1, 0.75, 0.3)])
@pytest.mark.parametrize(("size", "window", "overlap", "kind", "white"), CASES)
def test_bands_are_the_map_of_one_pass(size, window, overlap, kind, white, scales, monkeypatch):
    monkeypatch.setattr("scripts.slides.stream._COLUMNS", 100)  # pieces of a span
    slide, mask = Slide(size), mask_of(size, kind)
    found = list(stream(slide, mask, window, overlap, white, scales=scales).bands())
    assert slide.reads.max() == 1
    np.testing.assert_array_equal(joined(found), whole(slide, mask, white))
    assert [band.top for band in found] == np.cumsum([0, *(len(b.labels) for b in found)])[:-1].tolist()
    assert sum(band.tissue for band in found) == mask.sum()


@settings(max_examples=25, deadline=None)
@given(
    done=st.integers(0, 210),
    seed=st.integers(0, 5),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.6]),
    white=st.booleans(),
    scales=st.sampled_from([(1,), (1, 0.5), (1, 0.7, 0.2)]),
)
def test_from_any_row_on_it_is_the_same_to_the_bit(done, seed, overlap, white, scales):
    size = (211, 170)
    slide, mask = Slide(size, seed), mask_of(size, "some", seed)
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 1))

    def once():
        return stream(slide, mask, (32, 32), overlap, white, lambda x: torch.softmax(network(x), dim=1), scales)

    unbroken = joined(once().bands())
    rest = [band.labels for band in once().bands(done)]
    np.testing.assert_array_equal(np.concatenate([unbroken[:done], *rest]), unbroken)


def test_each_pixel_is_read_once_and_glass_never():
    size = (600, 2000)
    slide, mask = Slide(size), np.zeros(size, bool)
    mask[100:400, 900:1200] = True
    list(stream(slide, mask, (64, 64)).bands())
    assert slide.reads.max() == 1
    assert slide.reads[:, :500].max() == 0
    assert slide.reads[500:].max() == 0
    assert slide.reads[mask].min() == 1


class Shade:
    """Says of a window how dark it is, of the large ones as values of the whole window."""

    def look(self, x: torch.Tensor, smallest: bool, largest: bool) -> dict[str, torch.Tensor]:
        found = {"maps": brightest_channel(x) * (0.7 if largest else 0.9) + x.mean(dim=(1, 2, 3))[:, None, None, None]}
        return {**found, "classes": x.mean(dim=(2, 3))} if largest else found

    def passes(self, largest: bool) -> int:
        return 2 if largest else 1

    def join(self, means) -> torch.Tensor:
        return gate(means["maps"], means["classes"], 0.55)


def test_what_large_windows_say_gates_every_pixel_as_in_one_image():
    """The inference of images, on a map that windows fit into without a remainder."""
    slide, network = Slide((8 * 24 + 8, 8 * 30 + 8)), Shade()  # large windows of 32 px every 24, small ones of 16 every 12
    slide.pixels[:, 120:] //= 2
    mask = np.ones(slide.pixels.shape[:2], bool)
    inferer = MultiWindowInferer((16, 16), [1.0, 2.0], 4, overlap=0.25, mode="gaussian", sigma_scale=0.125)
    looks = inferer.looks(network)[::-1]
    found = Stream(
        [WindowGrid(mask.shape, look.window, 0.25) for look in looks], looks, network.join, slide.read,
        lambda top, height: mask[top : top + height], 3, BACKGROUND, probabilities=True,
    )  # fmt: skip
    bands = list(found.bands())
    expected = inferer(torch.from_numpy(slide.pixels).permute(2, 0, 1)[None].float() / 255, network)[0].numpy()
    np.testing.assert_allclose(np.concatenate([band.probabilities for band in bands], axis=1), expected, atol=1e-5)
    assert 0.05 < (expected == 0).any(axis=0).mean() < 0.9  # some are gated


def test_looks_per_tissue_pixel():
    size = (1200, 1200)
    mask = np.zeros(size, bool)
    y, x = np.ogrid[:1200, :1200]
    mask[(y - 600) ** 2 + (x - 600) ** 2 < 500**2] = True
    found = list(stream(Slide(size), mask, (32, 32)).bands())
    looks = sum(band.windows for band in found) * 32 * 32 / mask.sum()
    assert 1.75 < looks < 2.0


def test_windows_with_too_little_tissue_are_background():
    size = (200, 200)
    mask = np.zeros(size, bool)
    mask[100:150, 100:150] = True
    mask[10, 10] = True
    found = stream(Slide(size), mask, (32, 32), least_tissue=0.05)
    labels = joined(found.bands())
    assert labels[10, 10] == BACKGROUND
    assert (labels[mask] != BACKGROUND).sum() == mask.sum() - 1


def test_an_error_of_the_reader_ends_the_pass():
    def read(*box):
        raise OSError("share gone")

    slide = stream(Slide((100, 100)), np.ones((100, 100), bool))
    with pytest.raises(OSError, match="share gone"):
        list(Stream(**{**slide.__dict__, "read": read}).bands())


@pytest.mark.parametrize("overlap", [-0.1, 1.0])
def test_an_overlap_that_is_none(overlap):
    with pytest.raises(ValueError, match="overlap"):
        WindowGrid((10, 10), (4, 4), overlap)
