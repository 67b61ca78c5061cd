"""What a run's calls are in the order of time, and what an alarm budget chosen on validation keeps.

A threshold is chosen on the validation part of a fold and tried on what that fold never saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from phasewatch import metrics
from phasewatch.evaluation import timing
from phasewatch.evaluation.predictions import Predictions, PredictionSet
from phasewatch.evaluation.timing import DetectionDelay, FalseAlarmRate, Onset, Segments
from phasewatch.windowing import Windows, join

ALARM_BUDGET = 0.1
"""False alarms per host-hour that somebody might accept."""

BENIGN = 0
"""The class that raises no alarm: the first of every schema."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Timeline:
    """Calls in the order of time: delay a phase, false alarms, and segments."""

    delays: dict[str, DetectionDelay | None]
    false_alarms: FalseAlarmRate
    segments: Segments


@dataclass(frozen=True)
class AlarmBudget:
    """Alarms at the thresholds that met `budget` on validation, and what they did elsewhere.

    `thresholds` are of the probability of any phase but benign, one a fold; None where none met
    the budget, and no alarm was raised. `verifiable` is false when a fold's validation has too
    little benign time to show so low a rate. `raised` is the share of hostile phases on unseen
    episodes during which an alarm stood.
    """

    target_rate: float
    thresholds: tuple[float | None, ...]
    validation: FalseAlarmRate
    verifiable: bool
    achieved: FalseAlarmRate
    detected: float | None


@dataclass(frozen=True)
class EvaluationContext:
    """What answers were asked under: classes, seconds between windows, whether hosts were new."""

    classes: tuple[str, ...]
    stride_s: float
    seed: int
    new_hosts: bool

    @classmethod
    def of(cls, answered: PredictionSet) -> "EvaluationContext":
        """That of a run."""
        return cls(answered.classes, answered.stride_s, answered.seed, answered.new_hosts)


def timeline(one: Predictions, asked: EvaluationContext) -> Timeline:
    """Of the answers to whole episodes."""
    windows, guess = one.windows, one.predicted
    found: list[Onset] = []
    pairs = []
    for rows in timing.rows_by_episode(windows.episode, windows.t_ns):
        y, t_s = windows.y[rows], (windows.t_ns[rows] - windows.t_ns[rows[0]]) / 1e9
        told = (guess[rows], t_s, windows.since_s[rows])
        found += timing.onsets(str(windows.episode[rows[0]]), y, *told)
        pairs.append((y, guess[rows]))
    late: dict[str, DetectionDelay | None] = {}
    for label, name in enumerate(asked.classes):
        own = [onset for onset in found if onset.phase == label]
        late[name] = timing.detection_delay(own) if own else None
    false = false_alarm_rate(windows, guess != BENIGN, asked)
    return Timeline(late, false, timing.segment_scores(pairs))


def false_alarm_rate(windows: Windows, alarm: Mask, asked: EvaluationContext) -> FalseAlarmRate:
    """False alarms `[N]` on benign time; from five new hosts on, their rate on hosts like these."""
    counted = [
        (windows.host[rows[0]], timing.count_false_alarms(benign, alarm[rows]), benign.sum())
        for rows in timing.rows_by_episode(windows.episode, windows.t_ns)
        for benign in [windows.y[rows] == BENIGN]
    ]
    host = np.array([name for name, _, _ in counted])
    events = np.array([event for _, event, _ in counted])
    hours = np.array([float(count) for _, _, count in counted]) * asked.stride_s / 3600
    across = None
    if asked.new_hosts and len(np.unique(host)) >= metrics.MIN_HOSTS:
        weights = metrics.nested_weights(host, asked.seed)
        rates = (weights @ events) / np.maximum(weights @ hours, 1e-9)
        low, high = np.quantile(rates, [0.025, 0.975])
        across = (float(low), float(high))
    return timing.false_alarm_rate(
        int(events.sum()), max(float(hours.sum()), asked.stride_s / 3600), across
    )


def alarm_budget(
    folds: Sequence[tuple[Predictions, Predictions]], asked: EvaluationContext
) -> AlarmBudget:
    """Of validation and unseen answers of every fold, whose logits are calibrated.

    The lowest threshold a fold that meets the budget on its validation is tried on its unseen part.
    """
    thresholds = tuple(_threshold(validation, asked) for validation, _ in folds)
    chosen = _over(folds, 0, thresholds)
    tried = _over(folds, 1, thresholds)
    nothing = (
        false_alarm_rate(one.windows, np.zeros(len(one.windows), np.bool_), asked)
        for one, _ in folds
    )
    raised = [
        bool(alarm[rows[begin:end]].any())
        for one, alarm in tried
        for rows in timing.rows_by_episode(one.windows.episode, one.windows.t_ns)
        for begin, end in timing.runs(one.windows.y[rows])
        if one.windows.y[rows[begin]] != BENIGN
    ]
    return AlarmBudget(
        ALARM_BUDGET,
        thresholds,
        _summed(chosen, asked),
        all(none.high <= ALARM_BUDGET for none in nothing),
        _summed(tried, asked),
        float(np.mean(raised)) if raised else None,
    )


def _hostile(one: Predictions) -> NDArray[np.float64]:
    """The probability of any phase but benign, `[N]`."""
    return np.asarray(1 - softmax(one.logits, axis=1)[:, BENIGN])


def _threshold(validation: Predictions, asked: EvaluationContext) -> float | None:
    chance = _hostile(validation)
    threshold: float | None = None
    # From the strictest on: the rate of alarm events need not rise evenly as it is lowered.
    for tried in np.quantile(chance, np.linspace(1, 0, 201)):
        if false_alarm_rate(validation.windows, chance >= tried, asked).rate > ALARM_BUDGET:
            break
        threshold = float(tried)
    return threshold


def _over(
    folds: Sequence[tuple[Predictions, Predictions]], side: int, thresholds: Sequence[float | None]
) -> list[tuple[Predictions, Mask]]:
    """One side of every fold, and where its alarm stands."""
    return [
        (fold[side], _hostile(fold[side]) >= (np.inf if threshold is None else threshold))
        for fold, threshold in zip(folds, thresholds, strict=True)
    ]


def _summed(parts: Sequence[tuple[Predictions, Mask]], asked: EvaluationContext) -> FalseAlarmRate:
    windows = join(one.windows for one, _ in parts)
    return false_alarm_rate(windows, np.concatenate([alarm for _, alarm in parts]), asked)
