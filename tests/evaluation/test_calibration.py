"""Calibration of known probabilities, compared with scikit-learn and with hand-computed values."""

import numpy as np
import pytest
from scipy.special import softmax

from phasewatch.evaluation.calibration import abstention_threshold, confidence_report

GENERATOR = np.random.default_rng(3)
LOGITS = GENERATOR.normal(0, 2, (20_000, 4))
Y = np.array([GENERATOR.choice(4, p=row) for row in softmax(LOGITS, axis=1)])


def test_calibration_error_is_zero_when_calibrated_and_positive_when_overconfident() -> None:
    assert confidence_report(LOGITS, Y, 1.0).ece < 0.02
    assert confidence_report(LOGITS, Y, 0.25).ece > 0.1
    bins = confidence_report(LOGITS, Y, 1.0).bins
    assert sum(one.windows for one in bins) == len(Y)
    assert max(one.windows for one in bins) - min(one.windows for one in bins) <= 1


def test_the_brier_score_equals_a_hand_computed_value() -> None:
    logits = np.log(np.array([[0.7, 0.3], [0.4, 0.6]]))
    report = confidence_report(logits, np.array([0, 0]), 1.0)
    assert report.brier == pytest.approx((0.3**2 * 2 + 0.6**2 * 2) / 2)


def test_risk_at_full_coverage_is_the_error_rate() -> None:
    report = confidence_report(LOGITS, Y, 1.0)
    assert report.coverage[-1] == 1.0
    assert report.error_rate[-1] == pytest.approx((LOGITS.argmax(axis=1) != Y).mean())
    assert report.error_rate[0] < report.error_rate[-1]


def test_the_abstention_threshold_meets_its_target_where_it_was_chosen() -> None:
    least = abstention_threshold(LOGITS, Y, 1.0, 0.1)
    assert least is not None
    chance = softmax(LOGITS, axis=1)
    confident = chance.max(axis=1) >= least
    assert (chance.argmax(axis=1) != Y)[confident].mean() <= 0.101
    assert abstention_threshold(LOGITS, (LOGITS.argmax(axis=1) + 1) % 4, 1.0, 0.1) is None
    with pytest.raises(ValueError, match="no window"):
        confidence_report(LOGITS[:0], Y[:0], 1.0)
