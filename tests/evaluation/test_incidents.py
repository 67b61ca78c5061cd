"""Rules are chosen on validation alone, and what they do on new hosts has exact intervals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.evaluation.test_timeline import predicted

from phasewatch.alarm import CEILING
from phasewatch.evaluation import incidents
from phasewatch.evaluation.incidents import ONE_WINDOW, SHAPES, TARGET_RATES, IncidentCurve, Share
from phasewatch.evaluation.predictions import Predictions
from phasewatch.evaluation.tally import courses, tally_all

STRIDE_S = 5.0
RNG = np.random.default_rng(7)


def noisy(hosts: str = "ab", episodes: int = 6, strength: float = 1.5) -> Predictions:
    """Episodes of two hostile phases, whose windows are weakly and independently hostile."""
    truth = [0] * 12 + [1] * 4 + [0] * 8 + [1] * 4 + [0] * 8
    one = predicted({f"{host}{n}": (truth, truth) for host in hosts for n in range(episodes)})
    odds = RNG.normal(np.where(one.windows.y > 0, strength, -2.0), 1.0)
    since = one.windows.since_s
    purity = np.minimum(since / 10, 1.0)
    windows = replace(one.windows, purity=purity)
    return replace(one, windows=windows, logits=np.stack([np.zeros(len(odds)), odds], axis=1))


def curves(validation: Predictions, *unseen: Predictions) -> list[IncidentCurve]:
    return [incidents.incident_curve([(validation, one)], [1.0], STRIDE_S) for one in unseen]


def test_thresholds_fall_as_the_rate_rises_and_keep_validation_within_it() -> None:
    validation = courses(noisy(), 1.0, STRIDE_S)
    hours = sum(int(one.calm.sum()) for one in validation) * STRIDE_S / 3600
    shape, rules, one_window = incidents.choose(validation, 1.0, STRIDE_S)
    assert shape in SHAPES
    for chosen in (rules, one_window):
        thresholds = [rule.threshold for rule in chosen]
        assert thresholds == sorted(thresholds, reverse=True)
        assert thresholds[0] > thresholds[-1]
        counts = tally_all(validation, chosen)
        for false, rate in zip(counts.false, TARGET_RATES, strict=True):
            assert false <= rate * hours


def spiked() -> Predictions:
    """Phases of eight weak windows, and calm time with single windows stronger than any of them."""
    truth = [0] * 20 + [1] * 8 + [0] * 20
    one = predicted({f"a{n}": (truth, truth) for n in range(6)})
    odds = np.where(one.windows.y > 0, 2.5, -3.0) + RNG.uniform(0, 0.1, len(one.windows))
    odds[(one.windows.y == 0) & (np.arange(len(odds)) % 7 == 3)] = 4.0
    return replace(one, logits=np.stack([np.zeros(len(odds)), odds], axis=1))


def test_a_sum_is_chosen_where_many_weak_windows_tell_what_one_cannot() -> None:
    curve = incidents.incident_curve([(spiked(), spiked())], [1.0], STRIDE_S)
    assert "sum" in curve.shapes[0]
    for point, alone in zip(curve.points[2:], curve.one_window[2:], strict=True):
        assert point.phases and alone.phases
        assert (point.phases.value, alone.phases.value) == (1.0, 0.0)
        assert point.false_incidents.events == 0


def test_the_simplest_shape_is_kept_where_nothing_is_gained() -> None:
    firm = replace(noisy(), logits=np.eye(2)[noisy().windows.y] * 9)
    assert incidents.incident_curve([(firm, firm)], [1.0], STRIDE_S).shapes == (ONE_WINDOW.name,)


def test_the_held_out_part_chooses_nothing() -> None:
    validation, unseen = noisy(), noisy("cd")
    changed = replace(unseen, logits=unseen.logits[:, ::-1] * 3)
    one, other = curves(validation, unseen, changed)
    assert one.shapes == other.shapes
    assert [point.rules for point in one.points] == [point.rules for point in other.points]
    assert one.points != other.points


def test_the_order_and_the_names_of_hosts_change_nothing() -> None:
    validation, unseen = noisy(), noisy("cde")
    swapped = unseen.windows.host.copy(), unseen.windows.episode.copy()
    for name, other in (("c", "x"), ("d", "c"), ("x", "d")):
        for part in swapped:
            part[:] = np.char.replace(part, name, other)
    renamed = replace(unseen, windows=replace(unseen.windows, host=swapped[0], episode=swapped[1]))
    shuffled = renamed.take(RNG.permutation(len(unseen.windows)))
    first, second = curves(validation, unseen, shuffled)
    assert first == second


def test_every_fold_has_rules_of_its_own_and_counts_are_pooled() -> None:
    folds = [(noisy("a"), noisy("c")), (noisy("b", strength=3.0), noisy("d"))]
    both = incidents.incident_curve(folds, [1.0, 1.5], STRIDE_S)
    alone = [
        incidents.incident_curve([fold], [temperature], STRIDE_S)
        for fold, temperature in zip(folds, (1.0, 1.5), strict=True)
    ]
    for place, point in enumerate(both.points):
        parts = [one.points[place] for one in alone]
        assert point.rules == tuple(part.rules[0] for part in parts)
        events = [part.false_incidents.events for part in parts]
        assert point.false_incidents.events == sum(events)
        counts = [part.episodes.count for part in parts if part.episodes]
        assert point.episodes is not None and point.episodes.count == sum(counts)
        assert [rule.temperature for rule in point.rules] == [1.0, 1.5]


def test_a_rate_that_validation_cannot_show_is_aimed_at_by_the_tail() -> None:
    candidates, false = np.array([9.0, 8.0, 7.0, 6.0]), np.array([0, 0, 1, 4])
    chosen = [incidents._threshold(candidates, false, allowed, 0.5) for allowed in (4, 1, 0.1)]
    assert chosen == [6.0, 7.0, pytest.approx(8.0 + 0.5 * math.log(10))]
    assert incidents._threshold(candidates, false, 0.0, 0.5) == CEILING
    assert incidents._threshold(candidates, np.array([2, 2, 2, 2]), 0.5, 0.1) > 9.0
    exponential = RNG.exponential(2.0, 50_000)
    assert incidents._tail(exponential) == pytest.approx(2.0, rel=0.1)
    assert incidents._tail(exponential[:5]) == incidents._tail(np.array([])) == 1.0


def test_without_calm_time_on_validation_only_saturated_evidence_opens() -> None:
    truth = [1] * 12
    hostile = predicted({"a1": (truth, truth)})
    curve = incidents.incident_curve([(hostile, noisy())], [1.0], STRIDE_S)
    assert {rule.threshold for point in curve.points for rule in point.rules} == {CEILING}


def test_intervals_are_exact() -> None:
    share = Share.counted(7, 10)
    assert share is not None
    assert share.low == pytest.approx(stats.beta.ppf(0.025, 7, 4))
    assert share.high == pytest.approx(stats.beta.ppf(0.975, 8, 3))
    assert Share.counted(0, 0) is None
    none, some = (incidents.false_incident_rate(events, 10.0) for events in (0, 3))
    assert (none.rate, none.low) == (0.0, 0.0)
    # Exactly one in twenty at this rate sees nothing in ten hours.
    assert stats.poisson.cdf(0, none.high * 10) == pytest.approx(0.05)
    assert stats.poisson.sf(2, some.low * 10) == pytest.approx(0.025)
    assert stats.poisson.cdf(3, some.high * 10) == pytest.approx(0.025)


def test_a_rate_is_verifiable_from_three_over_it_hours_on() -> None:
    def days(hours: float) -> Predictions:
        quiet = [0] * round(hours * 720)
        return predicted({"a1": (quiet, quiet)})

    for hours, least in ((5.5, 1.0), (6.5, 0.5)):
        curve = incidents.incident_curve([(noisy(), days(hours))], [1.0], STRIDE_S)
        verifiable = [point.target_rate for point in curve.points if point.verifiable]
        assert min(verifiable) == least
        day = curve.points[0].benign_days
        assert day is not None and day.events == 0 and day.hours == pytest.approx(hours)
        assert curve.points[0].phases is None and curve.points[0].median_delay_s is None


def test_short_episodes_are_no_benign_days() -> None:
    curve = incidents.incident_curve([(noisy(), noisy())], [1.0], STRIDE_S)
    assert curve.points[0].benign_days is None
    assert curve.at(0.5) == curve.points[2]
    assert curve.at(0.3) is None
