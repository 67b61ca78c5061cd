"""Incidents in a run's predictions: how many hostile phases are noticed at which false rate.

What a false incident is, and when a phase is noticed, is defined in docs/decisions/0043-incidents.
The rule of a fold is chosen on its validation part alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phasewatch import alarm
from phasewatch.alarm import CEILING, AlarmRule
from phasewatch.evaluation import timing
from phasewatch.evaluation.predictions import Predictions
from phasewatch.evaluation.tally import Course, Mask, Tally, courses, pooled, tally_all
from phasewatch.evaluation.timing import FalseAlarmRate

TARGET_RATES = (0.02, 0.1, 0.5, 1.0, 2.0, 6.0)
"""False incidents per host-hour that a rule is chosen for. One analyst who has 100 machines, eight
hours a day and ten minutes an incident can look at 0.02."""

DEPLOYED_RATE = 0.5
"""The target rate at which a deployed model raises incidents, unless another one is named."""

CANDIDATES = 60
"""Thresholds that are tried for each shape of a rule."""

TAIL_SHARE, TAIL_WINDOWS = 0.1, 10
"""The share of calm windows, with most evidence, that the tail is fitted to; least number."""


@dataclass(frozen=True)
class Shape:
    """A rule without its temperature and threshold; see `AlarmRule`."""

    name: str
    retain: float
    drift: float
    cap: float
    gap: float
    calm: float

    def rule(self, temperature: float, threshold: float) -> AlarmRule:
        """Return the rule of this shape with a threshold."""
        numbers = (self.retain, self.drift, self.cap, threshold, self.gap, self.calm)
        return AlarmRule(temperature, *numbers)


CAP = CEILING / 2
"""Log-odds beyond which a window says no more: twice as much fills the evidence."""

ONE_WINDOW = Shape("one window", 0.0, -CAP, CAP, math.log(2), 2.0)
"""The threshold on one window: opened by it, closed after two windows below half its odds."""

SHAPES = (
    ONE_WINDOW,
    Shape("one window, held", 0.0, -CAP, CAP, 2.0, 3.0),
    Shape("leaky sum", 0.7, 0.5, CAP, CEILING, 1.0),
    Shape("cumulative sum, drift 1", 1.0, 1.0, CAP, CEILING, 1.0),
    Shape("cumulative sum, drift 2", 1.0, 2.0, CAP, CEILING, 1.0),
)
"""The shapes that validation chooses from; of equal ones the first."""


@dataclass(frozen=True)
class Share:
    """A share `value` = `count` / `of` with its exact 95 % interval (Clopper and Pearson, 1934).

    Phases of one episode are not independent, so the interval of phases is rather too narrow.
    """

    count: int
    of: int
    value: float
    low: float
    high: float

    @classmethod
    def counted(cls, count: int, of: int) -> "Share | None":
        """Return a share of `of` cases; None where there are none."""
        if not of:
            return None
        interval = stats.binomtest(count, of).proportion_ci(0.95, method="exact")
        return cls(count, of, count / of, float(interval.low), float(interval.high))


@dataclass(frozen=True)
class OperatingPoint:
    """What the rules for one target rate do on the held-out part; `rules` has one for each fold.

    `verifiable` is whether the calm hours are enough to show the target rate without a single false
    incident. `open_share` is the share of calm time with an open incident. `phases`, `episodes`
    and `named` are None where there is nothing to notice; `named` is of the phases noticed, and so
    is the median delay. `benign_days` is the false rate on long episodes without a hostile phase;
    None without such an episode.
    """

    target_rate: float
    rules: tuple[AlarmRule, ...]
    false_incidents: FalseAlarmRate
    verifiable: bool
    open_share: float
    phases: Share | None
    episodes: Share | None
    named: Share | None
    median_delay_s: float | None
    benign_days: FalseAlarmRate | None


@dataclass(frozen=True)
class IncidentCurve:
    """Operating points by target rate: of the shape chosen in each fold, and of one window alone.

    `shapes` are the names of the chosen shapes, one for each fold.
    """

    shapes: tuple[str, ...]
    points: tuple[OperatingPoint, ...]
    one_window: tuple[OperatingPoint, ...]

    def at(self, rate: float) -> OperatingPoint | None:
        """Return the point of a target rate; None where there is none."""
        return next((point for point in self.points if point.target_rate == rate), None)


def incident_curve(
    folds: Sequence[tuple[Predictions, Predictions]],
    temperatures: Sequence[float],
    stride_s: float,
) -> IncidentCurve:
    """Return the operating points of one model.

    `folds` are its predictions on validation and on the held-out part of each fold, with logits as
    the model gives them; `temperatures` calibrate them.
    """
    sides = [
        (courses(validation, temperature, stride_s), courses(unseen, temperature, stride_s))
        for (validation, unseen), temperature in zip(folds, temperatures, strict=True)
    ]
    chosen = [
        choose(validation, temperature, stride_s)
        for (validation, _), temperature in zip(sides, temperatures, strict=True)
    ]
    unseen = [side for _, side in sides]
    return IncidentCurve(
        tuple(shape.name for shape, _, _ in chosen),
        _points([rules for _, rules, _ in chosen], unseen, stride_s),
        _points([rules for _, _, rules in chosen], unseen, stride_s),
    )


# ---------------------------------------------------------------- choosing on validation


def choose(
    validation: Sequence[Course], temperature: float, stride_s: float
) -> tuple[Shape, tuple[AlarmRule, ...], tuple[AlarmRule, ...]]:
    """Return a shape, its rule for each of `TARGET_RATES`, and the rules of `ONE_WINDOW`.

    The shape is the one with which validation notices most, on average over target rates and over
    the shares of phases and of episodes.
    """
    thresholds = _thresholds(validation, temperature, stride_s)
    rules = {
        shape: tuple(shape.rule(temperature, threshold) for threshold in row)
        for shape, row in zip(SHAPES, thresholds, strict=True)
    }
    found = tally_all(validation, [rule for row in rules.values() for rule in row])
    noticed = np.hstack([_share(found.noticed), _share(found.episodes)])
    best = SHAPES[int(noticed.reshape(len(SHAPES), -1).mean(axis=1).argmax())]
    return best, rules[best], rules[ONE_WINDOW]


def _share(noticed: Mask) -> NDArray[np.float64]:
    """Return the share noticed by each rule, `[R,1]`; 0 where there is nothing to notice."""
    return np.asarray(noticed.sum(axis=1, keepdims=True) / max(noticed.shape[1], 1))


def _thresholds(
    validation: Sequence[Course], temperature: float, stride_s: float
) -> list[list[float]]:
    """Return the threshold of each shape for each target rate.

    It is the lowest that keeps validation within the rate. Where validation is too short to show
    the rate, even without a false incident, the evidence of calm windows is taken to have an
    exponential tail (peaks over threshold: Siffer et al., KDD 2017), and the lowest threshold
    without a false incident is raised until the tail is thin enough.
    """
    probes = [shape.rule(temperature, np.inf) for shape in SHAPES]
    evidence = np.hstack([alarm.trace(probes, course.windows).evidence for course in validation])
    calm = evidence[:, np.concatenate([course.calm for course in validation])]
    shares = np.linspace(1, 0, CANDIDATES)
    candidates = np.quantile(evidence, shares, axis=1).T
    above = np.nextafter(candidates[:, :1], np.inf)
    candidates = np.hstack([above, candidates])
    rules = [
        shape.rule(temperature, float(threshold))
        for shape, row in zip(SHAPES, candidates, strict=True)
        for threshold in row
    ]
    counts = tally_all(validation, rules)
    false, hours = counts.false.reshape(candidates.shape), counts.calm * stride_s / 3600
    return [
        [_threshold(row, lost, rate * hours, _tail(past)) for rate in TARGET_RATES]
        for row, lost, past in zip(candidates, false, calm, strict=True)
    ]


def _threshold(
    candidates: NDArray[np.float64], false: NDArray[np.int64], allowed: float, tail: float
) -> float:
    """Return the lowest candidate from which on at most `allowed` incidents are false.

    `candidates` fall. Under one incident that is not enough, and `tail` tells how much higher.
    """
    if allowed <= 0:
        return CEILING
    # From the strictest on: the number of incidents need not rise as a threshold is lowered.
    lowest = max(int(np.argmax(np.append(false > allowed, True))) - 1, 0)
    higher = tail * math.log(1 / allowed) if allowed < 1 else 0.0
    return min(float(candidates[lowest]) + higher, CEILING)


def _tail(evidence: NDArray[np.float64]) -> float:
    """Return the mean excess of the highest evidence, the scale of an exponential tail.

    It is 1 where there is too little of it: the evidence of a calibrated model falls at least as
    fast (Wald, Sequential Analysis, 1947).
    """
    if not len(evidence):
        return 1.0
    base = np.quantile(evidence, 1 - TAIL_SHARE)
    over = evidence[evidence > base]
    return float((over - base).mean()) if len(over) >= TAIL_WINDOWS else 1.0


# ---------------------------------------------------------------- the held-out part


def _points(
    rules: Sequence[tuple[AlarmRule, ...]], unseen: Sequence[Sequence[Course]], stride_s: float
) -> tuple[OperatingPoint, ...]:
    """Return a point for each target rate, over all folds: `rules[fold][rate]`."""
    sides = list(zip(rules, unseen, strict=True))
    together = pooled([_of_fold(fold, *side) for fold, side in enumerate(sides)])
    days = [
        tally_all(long, chosen)
        for chosen, side in sides
        if (long := [one for one in side if one.benign_day(stride_s)])
    ]
    benign = pooled(days) if days else None
    return tuple(
        _point(rate, place, tuple(chosen[place] for chosen in rules), (together, benign), stride_s)
        for place, rate in enumerate(TARGET_RATES)
    )


def _of_fold(fold: int, rules: Sequence[AlarmRule], side: Sequence[Course]) -> Tally:
    """Return the counts of a fold, with episodes numbered apart from those of other folds."""
    found = tally_all(side, rules)
    return replace(found, episode=found.episode + fold * 1_000_000)


def _point(
    rate: float,
    place: int,
    rules: tuple[AlarmRule, ...],
    counts: tuple[Tally, Tally | None],
    stride_s: float,
) -> OperatingPoint:
    found, benign = counts
    noticed = found.noticed[place]
    episodes = found.episodes[place]
    # Without a calm window the rate is that of one, and bounds nothing.
    hours = max(found.calm, 1) * stride_s / 3600
    delays = found.delay_s[place][noticed]
    return OperatingPoint(
        rate,
        rules,
        false_incident_rate(int(found.false[place]), hours),
        false_incident_rate(0, hours).high <= rate,
        float(found.open_calm[place] / found.calm) if found.calm else 0.0,
        Share.counted(int(noticed.sum()), len(noticed)),
        Share.counted(int(episodes.sum()), len(episodes)),
        Share.counted(int(found.named[place].sum()), int(noticed.sum())),
        float(np.median(delays)) if len(delays) else None,
        None
        if benign is None
        else false_incident_rate(int(benign.false[place]), benign.calm * stride_s / 3600),
    )


def false_incident_rate(events: int, hours: float) -> FalseAlarmRate:
    """Return the rate with Garwood's interval; for no event, the exact one-sided 95 % bound."""
    found = timing.false_alarm_rate(events, hours)
    return found if events else replace(found, high=-math.log(0.05) / hours)
