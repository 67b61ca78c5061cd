"""Timing metrics of the predictions of a run, and alarm thresholds chosen on validation.

A threshold is chosen on the validation part of a fold and evaluated on its held-out part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from phasewatch import metrics
from phasewatch.evaluation import timing
from phasewatch.evaluation.predictions import Predictions, PredictionSet
from phasewatch.evaluation.timing import DetectionDelay, FalseAlarmRate, Onset, Segments
from phasewatch.resampling import over_hosts
from phasewatch.windowing import Windows, concatenate

ALARM_BUDGET = 0.1
"""False alarms per host-hour that an operator might accept."""

BENIGN = 0
"""The class that raises no alarm: the first of every schema."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Timeline:
    """Timing metrics of one model: the detection delay of each phase, false alarms, segments.

    The delay of a phase that never occurs is None.
    """

    delays: dict[str, DetectionDelay | None]
    false_alarms: FalseAlarmRate
    segments: Segments


@dataclass(frozen=True)
class AlarmBudget:
    """Alarms at the thresholds that meet `target_rate` on validation, and on the held-out part.

    `thresholds` are probabilities of any phase but benign, one for each fold; a fold in which none
    meets the budget has None and raises no alarm. `validation` and `achieved` are the false-alarm
    rates on validation and on the held-out part. `verifiable` is false when the validation part of
    a fold has too little benign time to show so low a rate. `detected` is the share of hostile
    phases of held-out episodes with an alarm during the phase; None without such a phase.
    """

    target_rate: float
    thresholds: tuple[float | None, ...]
    validation: FalseAlarmRate
    verifiable: bool
    achieved: FalseAlarmRate
    detected: float | None


@dataclass(frozen=True)
class EvaluationContext:
    """What timing metrics need to know of a run beside its predictions.

    `stride_s` are the seconds between two windows, `seed` that of the bootstrap, and `new_hosts`
    whether every evaluated host was held out of training.
    """

    classes: tuple[str, ...]
    stride_s: float
    seed: int
    new_hosts: bool

    @classmethod
    def of(cls, run: PredictionSet) -> "EvaluationContext":
        """Return the context of the predictions of a run."""
        return cls(run.classes, run.stride_s, run.seed, run.new_hosts)


def timeline(predictions: Predictions, context: EvaluationContext) -> Timeline:
    """Return the timing metrics of predictions for all windows of some episodes."""
    windows, predicted = predictions.windows, predictions.predicted
    onsets: list[Onset] = []
    pairs = []
    for rows in timing.rows_by_episode(windows.episode, windows.t_ns):
        y, t_s = windows.y[rows], (windows.t_ns[rows] - windows.t_ns[rows[0]]) / 1e9
        episode = str(windows.episode[rows[0]])
        clear = ~windows.ambiguous[rows]
        since_s = windows.since_s[rows]
        onsets += timing.onsets(episode, y, predicted[rows], t_s, since_s, clear)
        if clear.any():
            pairs.append((y[clear], predicted[rows][clear]))
    delays: dict[str, DetectionDelay | None] = {}
    for phase, name in enumerate(context.classes):
        of_phase = [onset for onset in onsets if onset.phase == phase]
        delays[name] = timing.detection_delay(of_phase) if of_phase else None
    false_alarms = false_alarm_rate(windows, predicted != BENIGN, context)
    return Timeline(delays, false_alarms, timing.segment_scores(pairs))


def false_alarm_rate(windows: Windows, alarm: Mask, context: EvaluationContext) -> FalseAlarmRate:
    """Return the rate of false alarms, where `alarm[N]` is true for windows that raise one.

    Ambiguous time is not benign time: an alarm that begins in it is neither true nor false. With
    metrics.MIN_HOSTS new hosts or more the rate has an interval over other hosts, too.
    """
    benign_time = (windows.y == BENIGN) & ~windows.ambiguous
    counted = [
        (windows.host[rows[0]], timing.count_false_alarms(benign, alarm[rows]), benign.sum())
        for rows in timing.rows_by_episode(windows.episode, windows.t_ns)
        for benign in [benign_time[rows]]
    ]
    host = np.array([name for name, _, _ in counted])
    counts = np.array([[event, benign] for _, event, benign in counted], dtype=np.int64)
    hours_each = context.stride_s / 3600
    across_hosts = None
    if context.new_hosts and len(np.unique(host)) >= metrics.MIN_HOSTS:
        events, windows_drawn = over_hosts(host, context.seed).totals(counts).T
        rates = events / np.maximum(windows_drawn * hours_each, 1e-9)
        low, high = np.quantile(rates, [0.025, 0.975])
        across_hosts = (float(low), float(high))
    total, benign = (int(one) for one in counts.sum(axis=0))
    return timing.false_alarm_rate(total, max(benign, 1) * hours_each, across_hosts)


def alarm_budget(
    folds: Sequence[tuple[Predictions, Predictions]], context: EvaluationContext
) -> AlarmBudget:
    """Return what a budget of ALARM_BUDGET false alarms per host-hour gives.

    `folds` are the predictions on validation and on the held-out part of each fold, with calibrated
    logits. The lowest threshold that meets the budget on validation is applied to the held-out part
    of the same fold.
    """
    thresholds = tuple(_threshold(validation, context) for validation, _ in folds)
    on_validation = _with_alarms([fold[0] for fold in folds], thresholds)
    on_unseen = _with_alarms([fold[1] for fold in folds], thresholds)
    silent = (
        false_alarm_rate(one.windows, np.zeros(len(one.windows), np.bool_), context)
        for one, _ in folds
    )
    detected = [
        bool(alarm[phase].any())
        for one, alarm in on_unseen
        for phase in _hostile_phases(one.windows)
    ]
    return AlarmBudget(
        ALARM_BUDGET,
        thresholds,
        _pooled_rate(on_validation, context),
        all(rate.high <= ALARM_BUDGET for rate in silent),
        _pooled_rate(on_unseen, context),
        float(np.mean(detected)) if detected else None,
    )


def _hostile_phases(windows: Windows) -> Iterator[NDArray[np.int64]]:
    """Yield the clear windows of every hostile phase; a phase without any is left out."""
    for rows in timing.rows_by_episode(windows.episode, windows.t_ns):
        for begin, end in timing.runs(windows.y[rows]):
            clear = rows[begin:end][~windows.ambiguous[rows[begin:end]]]
            if len(clear) and windows.y[rows[begin]] != BENIGN:
                yield clear


def _hostile_probability(predictions: Predictions) -> NDArray[np.float64]:
    """Return the probability of any phase but benign, `[N]`."""
    return np.asarray(1 - softmax(predictions.logits, axis=1)[:, BENIGN])


def _threshold(validation: Predictions, context: EvaluationContext) -> float | None:
    """Return the lowest threshold that meets the budget; None when none does."""
    probability = _hostile_probability(validation)
    threshold: float | None = None
    # From the strictest on: the rate of alarm events need not rise monotonically as it is lowered.
    for candidate in np.quantile(probability, np.linspace(1, 0, 201)):
        if (
            false_alarm_rate(validation.windows, probability >= candidate, context).rate
            > ALARM_BUDGET
        ):
            break
        threshold = float(candidate)
    return threshold


def _with_alarms(
    parts: Sequence[Predictions], thresholds: Sequence[float | None]
) -> list[tuple[Predictions, Mask]]:
    """Return the predictions of each fold, and which of their windows raise an alarm."""
    return [
        (part, _hostile_probability(part) >= (np.inf if threshold is None else threshold))
        for part, threshold in zip(parts, thresholds, strict=True)
    ]


def _pooled_rate(
    parts: Sequence[tuple[Predictions, Mask]], context: EvaluationContext
) -> FalseAlarmRate:
    windows = concatenate(one.windows for one, _ in parts)
    return false_alarm_rate(windows, np.concatenate([alarm for _, alarm in parts]), context)
