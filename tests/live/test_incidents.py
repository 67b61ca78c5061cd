"""One incident instead of many alarms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewatch.live.incidents import Hysteresis, Incident, WindowScore, incidents
from phasewatch.schema import NS

RULE = Hysteresis(0.8, 0.5)


def seen(*chances: float) -> list[Incident]:
    sights = [
        WindowScore(
            1_790_000_000 * NS + place * 5 * NS, chance, "impact" if chance > 0.9 else "discovery"
        )
        for place, chance in enumerate(chances)
    ]
    return incidents(sights, RULE, "ep-1", "pc-tick", "gbt.realistic")


def test_probabilities_around_the_threshold_are_one_incident() -> None:
    found = seen(0.1, 0.85, 0.6, 0.95, 0.55, 0.3, 0.6, 0.2, 0.1, 0.1)
    assert [(one.windows, one.peak, one.phases) for one in found] == [
        (6, 0.95, ("discovery", "impact"))
    ]
    assert found[0].closed_ns == found[0].opened_ns + 25 * NS


def test_an_incident_ends_after_enough_low_windows_and_the_next_is_separate() -> None:
    found = seen(0.9, 0.1, 0.1, 0.9, 0.9)
    assert [one.closed_ns is None for one in found] == [False, True]
    assert found[0].id != found[1].id


def test_nothing_is_raised_below_the_threshold() -> None:
    assert seen(0.79, 0.79, 0.79) == []


@given(st.lists(st.floats(0, 1), max_size=60))
def test_there_are_never_more_incidents_than_alarm_onsets(chances: list[float]) -> None:
    found = seen(*chances)
    alarms = [one >= RULE.high for one in chances]
    began = sum(now and not before for before, now in zip([False, *alarms], alarms, strict=False))
    assert len(found) <= began
    assert bool(found) == any(alarms)
    assert all(one.peak >= RULE.high for one in found)


def test_an_incident_clears_at_half_the_odds() -> None:
    rule = Hysteresis.at(0.9)
    odds = [p / (1 - p) for p in (rule.high, rule.low)]
    assert odds[0] == pytest.approx(2 * odds[1])
