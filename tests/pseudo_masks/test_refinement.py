from __future__ import annotations

import pytest
import torch
from scripts.pseudo_masks.refinement import Refinement

CRF = {"radius": 5, "dilation": 1, "iterations": 5, "position_sigma": 5.0, "colour_sigma": 0.1, "smoothness_sigma": 1.5}


def test_without_field_and_appearance_it_is_the_weighted_mean_of_present_classes():
    torch.manual_seed(0)
    scores, image = {k: torch.randn(2, 3, 9, 7) for k in "ab"}, torch.rand(2, 3, 9, 7)
    present = torch.tensor([[1, 1, 0], [1, 1, 1]])
    found = Refinement({"a": 1.0, "b": 3.0})(scores, present, image, None)
    mean = 0.25 * scores["a"] + 0.75 * scores["b"]
    torch.testing.assert_close(found[1], torch.log_softmax(mean[1], dim=0))
    torch.testing.assert_close(found[0, :2], torch.log_softmax(mean[0, :2], dim=0))
    assert (found[0, 2] == float("-inf")).all()


def test_what_tissues_look_like_counts_with_its_weight():
    scores, image = {"a": torch.zeros(1, 2, 4, 4)}, torch.rand(1, 3, 4, 4)
    scores["a"][:, 0] = 0.5
    close = torch.zeros(1, 2, 4, 4)
    close[:, 1, 2:] = 2.0
    for weight, rows in ((0.2, 4), (0.3, 2)):
        found = Refinement({"a": 1.0}, ["x"], appearance=weight)(scores, torch.tensor([[1, 1]]), image, close)
        assert int((found.argmax(dim=1)[0, :, 0] == 0).sum()) == rows


@pytest.mark.parametrize("reduction", [1, 2, 3])
def test_the_border_moves_to_the_edge_of_the_colours(reduction):
    """A map that ends 4 px too late, on a patch whose sides no reduction divides."""
    height, width, edge = 35, 43, 20
    image = torch.full((1, 3, height, width), 0.8)
    image[..., edge:] = 0.3
    x = torch.arange(width) - edge - 4 + 0.5
    margin = (x / 8).clamp(-1, 1).expand(height, width)
    scores = {"a": torch.stack([-margin, margin])[None]}
    truth = (torch.arange(width) >= edge).long().expand(height, width)
    present = torch.tensor([[1, 1]])
    plain = Refinement({"a": 1.0})(scores, present, image, None).argmax(dim=1)[0]
    found = Refinement({"a": 1.0}, crf=CRF, reduction=reduction)(scores, present, image, None)
    assert found.shape == (1, 2, height, width)
    wrong = float((found.argmax(dim=1)[0] != truth).float().mean())
    assert float((plain != truth).float().mean()) == pytest.approx(4 / width)
    assert wrong <= 2 / width + 1e-6  # half of what was wrong, or less
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(1, height, width))


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": {}},
        {"weights": {"a": 0.0}},
        {"weights": {"a": -1.0, "b": 2.0}},
        {"weights": {"a": 1.0}, "appearance": -0.1},
        {"weights": {"a": 1.0}, "reduction": 0},
        {"weights": {"a": 1.0}, "reduction": 1.5},
    ],
)
def test_values_out_of_range(settings):
    with pytest.raises(ValueError, match="refinement: expected non-negative weights"):
        Refinement(**settings)


def test_settings_of_the_field_that_there_are_not_name_the_nearest():
    with pytest.raises(ValueError, match="crf has no setting 'radus'; did you mean 'radius'"):
        Refinement({"a": 1.0}, crf={"radus": 5})
