"""Delays, false alarms and segments, against examples worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasewatch.evaluation import timing
from phasewatch.evaluation.timing import (
    Labels,
    Onset,
    count_false_alarms,
    detection_delay,
    edit_score,
    false_alarm_rate,
    match_segments,
    onsets,
    rows_by_episode,
)

SEQUENCES = st.lists(st.integers(0, 3), min_size=1, max_size=30).map(np.array)


def labels(text: str) -> Labels:
    return np.array([int(letter) for letter in text], dtype=np.int64)


def test_detection_delay_runs_from_the_onset_to_the_first_stable_prediction() -> None:
    """Windows end at 10, 15, …; phase 1 begins at 17, phase 2 at 41, and 2 is never called."""
    y, guess = labels("00111112220"), labels("00010111010")
    t = np.arange(10.0, 65.0, 5.0)
    since = np.array([10, 15, 3, 8, 13, 18, 23, 4, 9, 14, 1], dtype=float)
    found = onsets("e", y, guess, t, since)
    assert found == [
        Onset("e", 0, 10.0, False),
        # Right at 25, wrong at 30, right at 35 and 40: stable from 35 on, 18 s after 17.
        Onset("e", 1, 18.0, False),
        Onset("e", 2, 14.0, True),
        Onset("e", 0, 1.0, False),
    ]


def test_detection_delay_counts_phases_that_were_never_predicted() -> None:
    """Called after 5, 10 and 20 s; one phase ended uncalled after 8 s, one after 30 s."""
    found = [Onset("e", 1, s, False) for s in (5.0, 10.0, 20.0)]
    found += [Onset("e", 1, s, True) for s in (8.0, 30.0)]
    delay = detection_delay(found)
    assert delay.onsets == 5
    assert delay.missed == pytest.approx(0.4)
    # Kaplan-Meier: 4/5 after 5, 4/5 · 2/3 = .533 after 10, .533 · 1/2 = .267 after 20.
    assert delay.median_s == 20.0
    assert delay.p90_s is None
    assert detection_delay(found[:3]).median_s == 10.0
    assert detection_delay(found[3:]).median_s is None


def test_an_alarm_is_false_when_it_begins_on_benign_time() -> None:
    benign = np.array([1, 1, 1, 0, 0, 1, 1, 1], dtype=bool)
    alarm = np.array([0, 1, 1, 1, 1, 1, 0, 1], dtype=bool)
    # One begins at the second window, another at the last; none begins when the attack ends.
    assert count_false_alarms(benign, alarm) == 2
    assert count_false_alarms(benign, ~benign) == 0


def test_a_rate_has_garwoods_interval() -> None:
    rate = false_alarm_rate(0, 2.0)
    assert [rate.rate, rate.low, rate.high] == pytest.approx([0.0, 0.0, 3.689 / 2], abs=1e-3)
    rate = false_alarm_rate(10, 1.0)
    assert [rate.low, rate.high] == pytest.approx([4.795, 18.390], abs=1e-3)


def test_the_edit_score_equals_a_hand_computed_value() -> None:
    # Orders 0 1 2 and 0 2 1 2: one insertion, over the longer four.
    assert edit_score(labels("001122"), labels("022122")) == pytest.approx(0.75)
    assert edit_score(labels("0"), labels("1")) == 0.0


def test_segment_f1_equals_a_hand_computed_value() -> None:
    # Truth 0:[0,4) 1:[4,8); calls 0:[0,3) 1:[3,5) 0:[5,6) 1:[6,8).
    y, guess = labels("00001111"), labels("00011011")
    # 0:[0,3) on [0,4) .75; 1:[3,5) on [4,8) 1/5; 0:[5,6) nowhere; 1:[6,8) on [4,8) .5.
    assert match_segments(y, guess, 0.5) == (2, 2, 0)
    # At .10 the early 1 takes the true one, and the later is one too many.
    assert match_segments(y, guess, 0.1) == (2, 2, 0)
    assert match_segments(y, guess, 0.6) == (1, 3, 1)
    scores = timing.segment_scores([(y, guess)])
    assert list(scores.f1) == pytest.approx([2 * 2 / 6] * 3)
    assert (scores.predicted, scores.true) == (4.0, 2.0)


@settings(deadline=None)
@given(SEQUENCES)
def test_perfect_predictions_have_perfect_timing_scores(y: Labels) -> None:
    scores = timing.segment_scores([(y, y)])
    assert scores.edit_score == 1.0 and scores.f1 == (1.0, 1.0, 1.0)
    t = np.arange(10.0, 10 + 5 * len(y), 5)
    assert not any(one.missed for one in onsets("e", y, y, t, np.ones(len(y))))


@settings(deadline=None)
@given(SEQUENCES, SEQUENCES)
def test_timing_scores_stay_between_zero_and_one(y: Labels, other: Labels) -> None:
    guess = np.resize(other, len(y))
    scores = timing.segment_scores([(y, guess)])
    assert 0 <= scores.edit_score <= 1 and all(0 <= one <= 1 for one in scores.f1)
    assert scores.f1[0] >= scores.f1[2]


def test_episodes_are_evaluated_separately_in_time_order() -> None:
    episode = np.array(["b", "a", "b", "a"])
    t = np.array([2, 9, 1, 3])
    assert [rows.tolist() for rows in rows_by_episode(episode, t)] == [[3, 1], [2, 0]]
