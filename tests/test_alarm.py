"""The decision rule: monotone in log-odds, the same window by window and at once, bounded."""

import math
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from phasewatch import alarm
from phasewatch.alarm import CEILING, AlarmRule, AlarmState, WindowEvidence
from phasewatch.errors import Refused

SUM = AlarmRule(1.0, 1.0, 0.5, 4.0, 5.0, CEILING, 1.0)
ONE = AlarmRule(1.0, 0.0, -8.0, 8.0, 9.0, math.log(2), 2.0)
LEAKY = AlarmRule(1.0, 0.7, 0.5, 4.0, 3.0, CEILING, 1.0)
RULES = st.sampled_from([SUM, ONE, LEAKY])
ODDS = st.lists(st.floats(-50, 50), min_size=1, max_size=50)


def window(log_odds: float, phases: tuple[float, ...] = (-0.1, -2.3)) -> WindowEvidence:
    return WindowEvidence(log_odds, phases)


def states(rule: AlarmRule, odds: list[float]) -> list[AlarmState]:
    state = AlarmState.first(2)
    return [state := alarm.advance(rule, state, window(one)) for one in odds]


@settings(deadline=None)
@given(RULES, ODDS, st.data())
def test_evidence_never_falls_when_log_odds_rise(
    rule: AlarmRule, odds: list[float], data: st.DataObject
) -> None:
    more = data.draw(st.lists(st.floats(0, 20), min_size=len(odds), max_size=len(odds)))
    higher = [one + rise for one, rise in zip(odds, more, strict=True)]
    for low, high in zip(states(rule, odds), states(rule, higher), strict=True):
        assert high.evidence >= low.evidence
        # Nothing opens later, and nothing closes earlier.
        assert high.open or not low.open


@settings(deadline=None, max_examples=50)
@given(st.lists(RULES, min_size=1, max_size=4), ODDS)
def test_rules_side_by_side_decide_as_each_alone_window_by_window(
    rules: list[AlarmRule], odds: list[float]
) -> None:
    together = alarm.trace(rules, [window(one) for one in odds])
    for row, rule in enumerate(rules):
        alone = states(rule, odds)
        assert together.evidence[row].tolist() == [float(one.evidence) for one in alone]
        assert together.open[row].tolist() == [bool(one.open) for one in alone]
        assert together.phase[row].tolist() == [int(one.phase) for one in alone]


@settings(deadline=None)
@given(RULES, ODDS)
def test_the_state_is_a_few_bounded_numbers(rule: AlarmRule, odds: list[float]) -> None:
    for state in states(rule, odds * 20):
        assert 0 <= state.evidence <= CEILING
        assert 0 <= state.calm < rule.calm
        assert state.phases.shape == (2,)
        assert state.phases.max() == 0 and state.phases.min() >= -CEILING


def test_one_window_opens_at_its_log_odds_and_closes_after_two_at_half_of_them() -> None:
    level = float(ONE.threshold) - 8
    odds = [level - 0.01, level, level - 0.6, level - 0.7, level - 0.6, level - 0.7, level - 0.7, 0]
    assert [bool(one.open) for one in states(ONE, odds)] == [0, 1, 1, 1, 1, 1, 0, 0]


def test_a_sum_opens_on_what_no_window_says_alone_and_closes_when_it_is_used_up() -> None:
    weak = [2.0] * 4 + [-4.0, -4.0]
    assert [bool(one.open) for one in states(SUM, weak)] == [0, 0, 0, 1, 1, 0]
    assert not any(one.open for one in states(ONE, [0.9] * 20))
    assert not any(one.open for one in states(SUM, [0.5] * 500))


def test_one_window_of_any_strength_does_not_open_a_sum_above_its_cap() -> None:
    assert not any(one.open for one in states(SUM, [40.0, -1.0, -1.0]))


def test_the_phase_follows_the_windows_and_forgets() -> None:
    state = AlarmState.first(2)
    seen = []
    for phases in ((-0.1, -2.3),) * 3 + ((-2.3, -0.1),) * 3:
        state = alarm.advance(SUM, state, window(3.0, phases))
        seen.append(int(state.phase))
    assert seen == [1, 1, 1, 2, 2, 2]
    state = alarm.advance(ONE, replace(state, phases=np.array([0.0, -9.0])), window(3.0, (-3, 0)))
    assert state.phase == 2


@settings(deadline=None)
@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=6),
    st.floats(0.05, 20),
)
def test_evidence_is_the_log_odds_of_the_calibrated_softmax(
    logits: list[float], temperature: float
) -> None:
    found = alarm.evidence_of(np.array(logits), temperature)
    z = np.array(logits, dtype=np.float32).astype(float) / temperature
    hostile = np.logaddexp.reduce(z[1:])
    assert found.log_odds == pytest.approx(hostile - z[0], abs=1e-9)
    assert np.exp(found.phases).sum() == pytest.approx(1.0)


def test_logits_that_round_to_the_same_single_are_the_same_evidence() -> None:
    logits: NDArray[np.float64] = np.array([0.1, 0.7, -0.3])
    nudged = logits * (1 + 1e-12)
    assert alarm.evidence_of(logits, 1.3) == alarm.evidence_of(nudged, 1.3)
    assert alarm.evidence_of(logits.astype(np.float32), 1.3) == alarm.evidence_of(logits, 1.3)


def test_nothing_to_trace_is_an_error() -> None:
    with pytest.raises(ValueError, match="no rule"):
        alarm.trace([], [window(1.0)])
    with pytest.raises(ValueError, match="no window"):
        alarm.trace([SUM], [])


def test_a_rule_survives_json() -> None:
    assert AlarmRule.parse(asdict(SUM), "here") == SUM


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.0},
        {"retain": 1.5},
        {"cap": 0.0},
        {"calm": 0.5},
        {"drift": math.nan},
        {"threshold": math.inf},
        {"gap": "2"},
        {"gap": True},
        {"more": 1.0},
    ],
)
def test_what_is_no_rule_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Refused, match="here: is no alarm rule"):
        AlarmRule.parse({**asdict(SUM), **change}, "here")


@pytest.mark.parametrize("name", [field.name for field in fields(AlarmRule)])
def test_a_rule_without_a_number_is_refused(name: str) -> None:
    value = {key: one for key, one in asdict(SUM).items() if key != name}
    with pytest.raises(Refused, match="is no alarm rule"):
        AlarmRule.parse(value, "here")
    with pytest.raises(Refused, match="is no alarm rule"):
        AlarmRule.parse([1.0], "here")
