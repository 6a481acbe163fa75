from __future__ import annotations

import numpy as np
import pytest
from scripts.evaluation.risk_coverage import RiskCoverage


def counted(certainty, wrong):
    found = RiskCoverage()
    found.update(np.asarray(certainty, float), np.asarray(wrong, bool))
    return found


def exact(certainty, wrong):
    """Mean risk over pixels taken one after the other."""
    order = np.argsort(-np.asarray(certainty), kind="stable")
    errors = np.cumsum(np.asarray(wrong, float)[order])
    return float((errors / np.arange(1, len(errors) + 1)).mean())


def test_the_oracle_finds_all_errors_and_its_opposite_none():
    wrong = np.arange(10_000) < 2_000
    best = counted(np.where(wrong, 0.1, 0.9), wrong).scores()
    assert (
        best["risk"] == 0.2
        and best["aurc"] == pytest.approx(best["oracle"], abs=1e-3)
        and best["gain"] == pytest.approx(1, abs=0.01)
    )
    assert best["oracle"] == pytest.approx(0.2 + 0.8 * np.log(0.8))
    worst = counted(np.where(wrong, 0.9, 0.1), wrong).scores()
    assert worst["aurc"] > 0.5 and worst["gain"] < -1


def test_certainty_that_says_nothing_is_as_good_as_chance(rng):
    wrong = rng.random(200_000) < 0.3
    for certainty in (np.full(200_000, 0.5), rng.random(200_000)):
        found = counted(certainty, wrong).scores()
        assert found["aurc"] == pytest.approx(0.3, abs=0.005) and found["gain"] == pytest.approx(0, abs=0.03)


def test_area_is_that_of_taking_pixels_one_by_one(rng):
    certainty = rng.random(50_000)
    wrong = rng.random(50_000) < 0.6 * (1 - certainty)
    assert counted(certainty, wrong).scores()["aurc"] == pytest.approx(exact(certainty, wrong), abs=2e-4)


def test_curve_by_hand_and_in_parts():
    found = RiskCoverage()
    found.update(np.array([[0.9, 0.9]]), np.array([[False, True]]))
    found.update(np.array([0.1, 0.1]), np.array([True, True]))
    assert found.curve() == [(0.5, 0.5), (1.0, 0.75)]


def test_without_errors_or_pixels():
    assert counted([0.5, 0.2], [False, False]).scores() == {
        "pixels": 2,
        "risk": 0.0,
        "aurc": 0.0,
        "oracle": 0.0,
        "gain": None,
    }
    assert counted([0.5, 0.2], [True, True]).scores()["gain"] is None
    assert RiskCoverage().scores()["aurc"] is None and RiskCoverage().curve() == []
