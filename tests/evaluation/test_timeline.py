from dataclasses import replace

import numpy as np
import pytest

from phasewatch.evaluation import timeline
from phasewatch.evaluation.predictions import Predictions
from phasewatch.windowing import Windows

STRIDE_S = 5.0
ASKED = timeline.EvaluationContext(("benign", "impact"), STRIDE_S, seed=0, new_hosts=True)


def said(episodes: dict[str, tuple[list[int], list[int]]], sure: float = 9.0) -> Predictions:
    """Truth and calls of each episode, on a host of its own name's first letter."""
    y = np.concatenate([np.array(truth) for truth, _ in episodes.values()])
    calls = np.concatenate([np.array(call) for _, call in episodes.values()])
    lengths = [len(truth) for truth, _ in episodes.values()]
    names = np.repeat(list(episodes), lengths)
    places = np.concatenate([np.arange(length) for length in lengths])
    since = np.concatenate([_since(truth) for truth, _ in episodes.values()])
    flat = np.zeros((len(y), 1))
    windows = Windows(
        x=np.zeros((len(y), 1, 1), np.float32),
        opening=flat.astype(np.float32),
        past=np.zeros((len(y), 1, 1), np.float32),
        y=y,
        purity=np.ones(len(y)),
        since_s=since,
        t_ns=(places * STRIDE_S * 1e9).astype(np.int64),
        episode=names,
        host=np.array([name[0] for name in names]),
        sample=names,
        profile=names,
        campaign=names,
    )
    return Predictions("x", "m", "realistic", "unseen", windows, np.eye(2)[calls] * sure)


def _since(truth: list[int]) -> np.typing.NDArray[np.float64]:
    """Every phase began two seconds before its first window's end."""
    found, began = [], 0
    for place, label in enumerate(truth):
        began = place if place and truth[place - 1] != label else began
        found.append(2.0 + (place - began) * STRIDE_S)
    return np.array(found)


def test_delays_and_alarms_are_counted_episode_by_episode() -> None:
    one = said(
        {
            "a1": ([0, 0, 1, 1, 1, 0], [0, 1, 0, 1, 1, 1]),
            "b1": ([0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]),
        }
    )
    found = timeline.timeline(one, ASKED)
    late = found.delays["impact"]
    assert late is not None
    assert (late.onsets, late.missed, late.median_s) == (2, 0.5, 7.0)
    # The alarm that outlasts the attack is no second one.
    assert found.false_alarms.events == 1
    assert found.false_alarms.hours == pytest.approx(6 * STRIDE_S / 3600)
    assert found.false_alarms.across_hosts is None


def test_a_phase_that_never_was_has_no_delay() -> None:
    assert timeline.timeline(said({"a": ([0, 0], [0, 0])}), ASKED).delays["impact"] is None


def test_five_hosts_give_an_interval_for_hosts_like_these() -> None:
    quiet = {f"{host}1": ([0] * 8, [0] * 8) for host in "abcd"}
    loud = {"e1": ([0] * 8, [1, 0] * 4)}
    found = timeline.timeline(said(quiet | loud), ASKED).false_alarms
    assert found.across_hosts is not None
    low, high = found.across_hosts
    assert low == 0.0 and high > found.rate
    assert timeline.timeline(said(quiet), ASKED).false_alarms.across_hosts is None
    known = replace(ASKED, new_hosts=False)
    assert timeline.timeline(said(quiet | loud), known).false_alarms.across_hosts is None


def test_the_threshold_is_the_validation_parts_own_and_tried_on_the_unseen() -> None:
    truth = [0] * 6 + [1] * 4
    chosen = said({"v1": (truth, truth)})
    # Unsure of every window, and yet over a threshold that a firm validation put low.
    unsure = Predictions(
        "x", "m", "realistic", "unseen", chosen.windows, np.array([[0.0, 0.5]] * 10)
    )
    kept = timeline.alarm_budget([(chosen, unsure)], ASKED)
    assert kept.thresholds[0] is not None
    assert kept.validation.events == 0
    assert (kept.achieved.events, kept.detected) == (1, 1.0)
    tried = timeline.alarm_budget([(chosen, chosen)], ASKED)
    assert (tried.achieved.events, tried.detected) == (0, 1.0)


def test_no_threshold_raises_no_alarm() -> None:
    truth = [0] * 6 + [1] * 4
    firm = said({"v1": (truth, truth)})
    unsure = Predictions("x", "m", "realistic", "unseen", firm.windows, np.array([[0.0, 0.5]] * 10))
    none = timeline.alarm_budget([(unsure, firm)], ASKED)
    assert (none.thresholds, none.detected) == ((None,), 0.0)


def test_every_fold_has_a_threshold_of_its_own() -> None:
    truth = [0] * 6 + [1] * 4
    calm, firm = said({"v1": (truth, truth)}, 9.0), said({"w1": (truth, truth)}, 2.0)
    both = timeline.alarm_budget([(calm, calm), (firm, firm)], ASKED)
    assert len(set(both.thresholds)) == 2
    assert both.detected == 1.0
    assert both.achieved.hours == pytest.approx(12 * STRIDE_S / 3600)


def test_little_benign_time_cannot_show_a_low_rate() -> None:
    few = said({"v1": ([0] * 6, [0] * 6)})
    assert not timeline.alarm_budget([(few, few)], ASKED).verifiable
    many = said({f"v{number}": ([0] * 720, [0] * 720) for number in range(40)})
    assert timeline.alarm_budget([(many, many)], ASKED).verifiable
