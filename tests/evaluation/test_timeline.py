from dataclasses import replace

import numpy as np
import pytest

from phasewatch.evaluation import timeline
from phasewatch.evaluation.predictions import Predictions
from phasewatch.windowing import Windows

STRIDE_S = 5.0
CONTEXT = timeline.EvaluationContext(("benign", "impact"), STRIDE_S, seed=0, new_hosts=True)


def predicted(episodes: dict[str, tuple[list[int], list[int]]], sure: float = 9.0) -> Predictions:
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


def marked(one: Predictions, ambiguous: list[int]) -> Predictions:
    """The same predictions, with these windows ambiguous."""
    mask = np.isin(np.arange(len(one.windows)), ambiguous)
    return replace(one, windows=replace(one.windows, ambiguous=mask))


def test_ambiguous_time_is_neither_hostile_nor_benign() -> None:
    plain = predicted({"a1": ([0, 0, 1, 1, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1, 0, 0])})
    assert timeline.timeline(plain, CONTEXT).false_alarms.events == 1
    # An act that calls home and a heartbeat: the first phase and the window after it.
    one = marked(plain, [2, 3, 4])
    found = timeline.timeline(one, CONTEXT)
    late = found.delays["impact"]
    assert late is not None and (late.onsets, late.missed) == (1, 1.0)
    # The alarm began in ambiguous time and goes on: it is no false one, and its hours are fewer.
    assert found.false_alarms.events == 0
    assert found.false_alarms.hours == pytest.approx(4 * STRIDE_S / 3600)
    rate = timeline.false_alarm_rate(one.windows, np.ones(8, bool), CONTEXT)
    assert rate.events == 1


def test_a_phase_is_noticed_in_its_clear_windows_alone() -> None:
    def detected(*ambiguous: int) -> float | None:
        truth, calls = [0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 1, 0, 0, 0, 0, 0]
        one = marked(predicted({"a1": (truth, calls)}), list(ambiguous))
        return timeline.alarm_budget(
            [(predicted({"b": ([0] * 5 + [1, 1], [0] * 5 + [1, 1])}), one)], CONTEXT
        ).detected

    assert detected() == 0.5
    assert detected(2) == 0.0
    assert detected(6, 7) == 1.0
    assert detected(2, 3, 6, 7) is None


def test_a_phase_that_is_partly_ambiguous_is_timed_by_its_other_windows() -> None:
    one = marked(predicted({"a1": ([0, 1, 1, 1, 1], [0, 0, 0, 1, 1])}), [1])
    late = timeline.timeline(one, CONTEXT).delays["impact"]
    assert late is not None and late.median_s == 2.0 + 2 * STRIDE_S


def test_delays_and_alarms_are_counted_episode_by_episode() -> None:
    one = predicted(
        {
            "a1": ([0, 0, 1, 1, 1, 0], [0, 1, 0, 1, 1, 1]),
            "b1": ([0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]),
        }
    )
    found = timeline.timeline(one, CONTEXT)
    late = found.delays["impact"]
    assert late is not None
    assert (late.onsets, late.missed, late.median_s) == (2, 0.5, 7.0)
    # The alarm that outlasts the attack is no second one.
    assert found.false_alarms.events == 1
    assert found.false_alarms.hours == pytest.approx(6 * STRIDE_S / 3600)
    assert found.false_alarms.across_hosts is None


def test_a_phase_that_never_occurred_has_no_detection_delay() -> None:
    assert timeline.timeline(predicted({"a": ([0, 0], [0, 0])}), CONTEXT).delays["impact"] is None


def test_five_hosts_give_an_interval_across_hosts() -> None:
    quiet = {f"{host}1": ([0] * 8, [0] * 8) for host in "abcd"}
    loud = {"e1": ([0] * 8, [1, 0] * 4)}
    found = timeline.timeline(predicted(quiet | loud), CONTEXT).false_alarms
    assert found.across_hosts is not None
    low, high = found.across_hosts
    assert low == 0.0 and high > found.rate
    assert timeline.timeline(predicted(quiet), CONTEXT).false_alarms.across_hosts is None
    known = replace(CONTEXT, new_hosts=False)
    assert timeline.timeline(predicted(quiet | loud), known).false_alarms.across_hosts is None


def test_the_threshold_is_chosen_on_validation_and_applied_to_unseen_episodes() -> None:
    truth = [0] * 6 + [1] * 4
    chosen = predicted({"v1": (truth, truth)})
    # Unsure of every window, and yet over a threshold that a firm validation put low.
    unsure = Predictions(
        "x", "m", "realistic", "unseen", chosen.windows, np.array([[0.0, 0.5]] * 10)
    )
    budget = timeline.alarm_budget([(chosen, unsure)], CONTEXT)
    assert budget.thresholds[0] is not None
    assert budget.validation.events == 0
    assert (budget.achieved.events, budget.detected) == (1, 1.0)
    tried = timeline.alarm_budget([(chosen, chosen)], CONTEXT)
    assert (tried.achieved.events, tried.detected) == (0, 1.0)


def test_no_threshold_raises_no_alarm() -> None:
    truth = [0] * 6 + [1] * 4
    firm = predicted({"v1": (truth, truth)})
    unsure = Predictions("x", "m", "realistic", "unseen", firm.windows, np.array([[0.0, 0.5]] * 10))
    none = timeline.alarm_budget([(unsure, firm)], CONTEXT)
    assert (none.thresholds, none.detected) == ((None,), 0.0)


def test_every_fold_has_its_own_threshold() -> None:
    truth = [0] * 6 + [1] * 4
    sure_fold, less_sure_fold = (
        predicted({"v1": (truth, truth)}, 9.0),
        predicted({"w1": (truth, truth)}, 2.0),
    )
    both = timeline.alarm_budget(
        [(sure_fold, sure_fold), (less_sure_fold, less_sure_fold)], CONTEXT
    )
    assert len(set(both.thresholds)) == 2
    assert both.detected == 1.0
    assert both.achieved.hours == pytest.approx(12 * STRIDE_S / 3600)


def test_little_benign_time_cannot_show_a_low_rate() -> None:
    few = predicted({"v1": ([0] * 6, [0] * 6)})
    assert not timeline.alarm_budget([(few, few)], CONTEXT).verifiable
    many = predicted({f"v{number}": ([0] * 720, [0] * 720) for number in range(40)})
    assert timeline.alarm_budget([(many, many)], CONTEXT).verifiable
