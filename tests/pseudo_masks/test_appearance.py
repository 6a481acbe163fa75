from __future__ import annotations

import pytest
import torch
from scripts.pseudo_masks.appearance import Appearance


def _steps(count=24, seed=0, width=32):
    """Rows of pixels that change from class 0 to 1 somewhere, one feature that shows it, and maps that miss the place."""
    generator = torch.Generator().manual_seed(seed)
    features, scores, truth = [], [], []
    for _ in range(count):
        true, shift = (int(torch.randint(*r, (1,), generator=generator)) for r in ((10, 22), (-4, 5)))
        x = torch.arange(width)
        own = (x >= true).float()
        margin = ((x - true - shift) / 4).clamp(-1.5, 1.5)
        features.append(torch.stack([2 * own - 1, torch.randn(width, generator=generator)]))
        scores.append(torch.stack([-margin / 2, margin / 2]))
        truth.append(own.long())
    return features, scores, truth


def _predicted(appearance, feature):
    return appearance.coefficients @ feature + appearance.constants[:, None]


def test_borders_that_the_maps_miss_on_either_side_are_found():
    features, scores, truth = _steps()
    appearance = Appearance(["a"])
    appearance.fit(features, scores, [torch.tensor([1, 1])] * len(features))
    maps = torch.cat([score.argmax(0) for score in scores])
    own = torch.cat([_predicted(appearance, feature).argmax(0) for feature in features])
    truth = torch.cat(truth)
    assert float((maps == truth).float().mean()) < 0.97
    assert torch.equal(own, truth)


def test_scores_have_unit_scale_in_the_sample_and_do_not_depend_on_the_units_of_a_feature():
    features, scores, _ = _steps()
    present = [torch.tensor([1, 1])] * len(features)
    plain, scaled = Appearance(["a"]), Appearance(["a"])
    plain.fit(features, scores, present)
    units = torch.tensor([[100.0], [0.01]])
    scaled.fit([feature * units + 3 for feature in features], scores, present)
    own = torch.cat([_predicted(plain, feature) for feature in features], dim=1)
    assert float((own - own.mean(dim=0)).square().mean().sqrt()) == pytest.approx(1, abs=1e-4)
    other = torch.cat([_predicted(scaled, feature * units + 3) for feature in features], dim=1)
    torch.testing.assert_close(own, other, atol=1e-3, rtol=1e-3)


def test_least_squares_by_hand():
    """One feature at -1 and 1, maps sure of either: the slope is tanh(margin) / 2, shrunk by the ridge, scaled to 1."""
    feature, score = torch.tensor([[-1.0, 1.0]]), torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    appearance = Appearance(["a"], ridge=0.5)
    appearance.fit([feature], [score], [torch.tensor([1, 1])])
    # moments [[1 + 0.5, 0], [0, 1 + 0.5]] against products [tanh(2) / 2, 0]: a slope alone, then a root mean square of 1
    torch.testing.assert_close(appearance.coefficients, torch.tensor([[-1.0], [1.0]]))
    torch.testing.assert_close(appearance.constants, torch.zeros(2), atol=1e-6, rtol=0)


def test_a_class_learns_from_its_own_patches_alone():
    features, scores, _ = _steps()
    scores = [torch.cat([score, torch.full((2, score.shape[1]), 9.0)]) for score in scores]
    appearance = Appearance(["a"])
    third = (features[:1], [torch.randn(4, 32)], [torch.tensor([0, 1, 1, 0])])
    appearance.fit([*features, *third[0]], [*scores, *third[1]], [torch.tensor([1, 1, 0, 0])] * len(features) + third[2])
    before = appearance.coefficients.clone()
    assert not before[3].any() and before[0].any() and before[2].any()
    changed = torch.cat([third[1][0][:3], torch.full((1, 32), -50.0)])  # a class that the patch does not have
    appearance.fit([*features, *third[0]], [*scores, changed], [torch.tensor([1, 1, 0, 0])] * len(features) + third[2])
    torch.testing.assert_close(appearance.coefficients, before)


def test_maps_have_the_size_asked_for_and_layers_the_size_of_the_deepest():
    appearance = Appearance(["a", "b"])
    layers = {"a": torch.rand(2, 3, 12, 16), "b": torch.rand(2, 2, 6, 8), "c": torch.rand(2, 9, 3, 4)}
    found = appearance.features(layers)
    assert found.shape == (2, 5, 6, 8)
    torch.testing.assert_close(found[:, :3], torch.nn.functional.avg_pool2d(layers["a"], 2))
    with pytest.raises(RuntimeError, match="before it was fitted"):
        appearance(layers, (24, 32))
    appearance.fit([torch.rand(5, 0)], [torch.rand(2, 0)], [torch.tensor([1, 1])])
    assert appearance.coefficients is None  # no pixel of tissue
    appearance.fit([torch.rand(5, 40)], [torch.randn(2, 40)], [torch.tensor([1, 1])])
    scores = appearance(layers, (24, 32))
    assert scores.shape == (2, 2, 24, 32) and scores.isfinite().all()
    constant = {"a": torch.full((1, 3, 12, 16), 0.3), "b": torch.full((1, 2, 6, 8), 0.6)}
    expected = appearance.coefficients @ torch.tensor([0.3] * 3 + [0.6] * 2) + appearance.constants
    torch.testing.assert_close(appearance(constant, (24, 32))[0, :, 7, 9], expected, atol=1e-5, rtol=1e-5)


def test_no_layers():
    with pytest.raises(ValueError, match="expected at least one layer"):
        Appearance([])


def test_a_channel_that_hardly_moves_decides_nothing():
    features, scores, _ = _steps()
    present = [torch.tensor([1, 1])] * len(features)
    still = [torch.cat([feature, 1e-7 * torch.rand(1, feature.shape[1])]) for feature in features]
    plain, appearance = Appearance(["a"]), Appearance(["a"])
    plain.fit(features, scores, present)
    appearance.fit(still, scores, present)
    torch.testing.assert_close(appearance.coefficients[:, :2], plain.coefficients, atol=1e-3, rtol=1e-3)
    assert float(appearance.coefficients[:, 2].abs().max()) < 1


def test_features_that_are_not_finite_are_refused_and_an_earlier_fit_is_forgotten():
    features, scores, _ = _steps()
    present = [torch.tensor([1, 1])] * len(features)
    appearance = Appearance(["a", "b"])
    appearance.fit(features, scores, present)
    features[3][0, 5] = float("inf")
    with pytest.raises(ValueError, match=r"features of \['a', 'b'\] are not finite"):
        appearance.fit(features, scores, present)
    assert appearance.coefficients is None
