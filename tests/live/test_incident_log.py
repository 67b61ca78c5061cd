"""Incidents kept window by window are those that the evaluation counts."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phasewatch import alarm
from phasewatch.alarm import CEILING, AlarmRule
from phasewatch.live import incident_log
from phasewatch.live.incident_log import IncidentLog
from phasewatch.schema import NS

CLASSES = ("benign", "discovery", "impact")
SUM = AlarmRule(1.0, 1.0, 0.5, 4.0, 5.0, CEILING, 1.0)
ONE = AlarmRule(1.0, 0.0, -8.0, 8.0, 9.0, math.log(2), 2.0)
STRONG, WEAK, CALM = (0.0, 4.0, 0.0), (0.0, -1.0, 1.0), (6.0, 0.0, 0.0)
LOGITS = st.lists(st.tuples(*[st.floats(-8, 8)] * 3), min_size=1, max_size=60)


def log(rule: AlarmRule, *logits: tuple[float, ...]) -> IncidentLog:
    found = IncidentLog(rule, CLASSES)
    for place, one in enumerate(logits):
        found.add(place * 5 * NS, np.array(one))
    return found


@settings(deadline=None)
@given(st.sampled_from([SUM, ONE]), LOGITS)
def test_incidents_open_where_the_evaluation_opens_them(
    rule: AlarmRule, logits: list[tuple[float, ...]]
) -> None:
    windows = [alarm.evidence_of(np.array(one), 1.0) for one in logits]
    expected = np.flatnonzero(alarm.trace([rule], windows).opened[0]) * 5 * NS
    spans = log(rule, *logits).spans
    assert [one.opened_ns for one in spans] == expected.tolist()
    assert [one.open for one in spans[:-1]] == [False] * (len(spans) - 1)
    for one in spans:
        assert one.windows == (one.last_ns - one.opened_ns) // (5 * NS) + 1


def test_an_incident_ends_with_the_last_window_that_speaks_for_it() -> None:
    span, later = log(ONE, CALM, STRONG, CALM, STRONG, CALM, CALM, STRONG).spans
    assert (span.opened_ns, span.last_ns, span.windows, span.open) == (5 * NS, 15 * NS, 3, False)
    assert later.open and later.opened_ns == 30 * NS


def test_an_incident_has_every_phase_in_its_order_and_the_last() -> None:
    (span,) = log(SUM, STRONG, STRONG, WEAK, WEAK, WEAK, STRONG, STRONG).spans
    assert span.phases == ("discovery", "impact")
    assert span.phase == "discovery"
    assert span.peak == 1 / (1 + math.exp(-alarm.evidence_of(np.array(STRONG), 1.0).log_odds))


def test_an_open_incident_is_current_and_a_closed_one_is_not() -> None:
    assert log(ONE, STRONG).current == log(ONE, STRONG).spans[0]
    assert log(ONE, STRONG, CALM, CALM).current is None
    assert log(ONE).spans == []


def test_memory_is_bounded() -> None:
    many = log(ONE, *[STRONG, CALM, CALM] * (incident_log.KEPT_INCIDENTS + 50))
    assert len(many.spans) == incident_log.KEPT_INCIDENTS
    assert many.spans[-1].opened_ns == (incident_log.KEPT_INCIDENTS + 49) * 15 * NS


def test_logits_far_beyond_training_neither_end_the_log_nor_raise_the_peak() -> None:
    (span,) = log(SUM, *[STRONG] * 5, (2000.0, 0.0, 0.0)).spans
    assert span.open and span.windows == 5
    assert span.peak == log(SUM, STRONG, STRONG).spans[0].peak
