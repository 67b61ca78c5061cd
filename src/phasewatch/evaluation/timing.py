"""Detection delay, false alarms, and segments of predictions in the order of time.

Everything is computed episode by episode. A prediction counts from the end of its window on, which
is when a defender could have had it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phasewatch.features.views import Array
from phasewatch.windowing import WindowSet

Labels = NDArray[np.int64]
STABLE_WINDOWS = 2
"""Consecutive windows that must be correct before a phase counts as detected."""

OVERLAPS = (0.10, 0.25, 0.50)
"""Intersections over union from which on two segments match."""


@dataclass(frozen=True)
class Onset:
    """The beginning of a phase in an episode, and the delay of its first stable prediction.

    `phase` is its class. `seconds` run from the onset to the detection, or to the last window of
    the phase when it is `missed`.
    """

    episode: str
    phase: int
    seconds: float
    missed: bool


def runs(y: Labels) -> list[tuple[int, int]]:
    """Return the stretches `[begin, end)` of equal values."""
    edges = np.flatnonzero(np.diff(y)) + 1
    cuts = [0, *edges.tolist(), len(y)]
    return [(begin, end) for begin, end in pairwise(cuts) if end > begin]


def onsets(
    episode: str,
    y: Labels,
    predicted: Labels,
    t_s: Array,
    since_s: Array,
    clear: NDArray[np.bool_] | None = None,
) -> list[Onset]:
    """Return the onset of every phase of one episode, from its windows `[N]` in the order of time.

    `y` are true and `predicted` predicted classes, `t_s` the ends of the windows and `since_s` the
    seconds since the phase began. A prediction is stable when it is correct in `STABLE_WINDOWS`
    consecutive windows, or until the phase ends. Only the `clear` windows of a phase are looked at,
    all of them without a mask; a phase without any has no onset.
    """
    clear = np.ones(len(y), dtype=bool) if clear is None else clear
    found = []
    for begin, end in runs(y):
        places = begin + np.flatnonzero(clear[begin:end])
        if not len(places):
            continue
        correct = predicted[places] == y[begin]
        began = t_s[begin] - since_s[begin]
        stable = [
            place for place in range(len(correct)) if correct[place : place + STABLE_WINDOWS].all()
        ]
        last = places[stable[0] if stable else -1]
        found.append(Onset(episode, int(y[begin]), float(t_s[last] - began), not stable))
    return found


@dataclass(frozen=True)
class DetectionDelay:
    """The detection delay of one phase: number of onsets, share missed, quantiles in seconds.

    Quantiles are Kaplan-Meier estimates: a phase that ends undetected has a delay longer than it
    lasted. They are None where fewer than that share is ever detected. `curve` has the share
    detected by each second at which it rises.
    """

    onsets: int
    missed: float
    median_s: float | None
    p90_s: float | None
    curve: tuple[tuple[float, float], ...]


def detection_delay(found: Sequence[Onset]) -> DetectionDelay:
    """Return the distribution of delays. Raises ValueError without an onset."""
    if not found:
        raise ValueError("no onset")
    detected = [one.seconds for one in found if not one.missed]
    ended = [one.seconds for one in found if one.missed]
    curve = stats.ecdf(stats.CensoredData(uncensored=detected, right=ended)).sf

    def quantile(share: float) -> float | None:
        below = np.flatnonzero(curve.probabilities <= 1 - share + 1e-12)
        return float(curve.quantiles[below[0]]) if len(below) else None

    steps = zip(curve.quantiles.tolist(), (1 - curve.probabilities).tolist(), strict=True)
    share = len(ended) / len(found)
    return DetectionDelay(len(found), share, quantile(0.5), quantile(0.9), tuple(steps))


@dataclass(frozen=True)
class FalseAlarmRate:
    """False alarms in benign time: events, host-hours, rate per hour and its 95 % interval.

    `across_hosts` is the interval over other hosts, where there are enough of them.
    """

    events: int
    hours: float
    rate: float
    low: float
    high: float
    across_hosts: tuple[float, float] | None = None


def count_false_alarms(benign: NDArray[np.bool_], alarm: NDArray[np.bool_]) -> int:
    """Return the number of alarms of one episode that begin in benign time.

    `benign` and `alarm` are of its windows in the order of time. An alarm that outlasts a hostile
    phase does not begin in benign time.
    """
    before = np.concatenate([[False], alarm[:-1]])
    return int((alarm & ~before & benign).sum())


def false_alarm_rate(
    events: int, hours: float, across_hosts: tuple[float, float] | None = None
) -> FalseAlarmRate:
    """Return the rate with Garwood's exact Poisson interval (Biometrika 28, 1936)."""
    low = stats.chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    high = stats.chi2.ppf(0.975, 2 * events + 2) / 2
    rates = (events / hours, float(low) / hours, float(high) / hours)
    return FalseAlarmRate(events, hours, *rates, across_hosts)


@dataclass(frozen=True)
class Segments:
    """How predicted segments match the true ones, after MS-TCN (Farha and Gall, CVPR 2019).

    `edit_score` is 1 minus the normalised edit distance between the two sequences of segments, and
    `f1` the F1 of matching segments at each of `OVERLAPS`. `predicted` and `true` are segments per
    episode.
    """

    edit_score: float
    f1: tuple[float, ...]
    predicted: float
    true: float


def segment_scores(pairs: Sequence[tuple[Labels, Labels]]) -> Segments:
    """Return the scores of `(y, predicted)` of every episode. Raises ValueError without one."""
    if not pairs:
        raise ValueError("no episode")
    edits = [edit_score(y, predicted) for y, predicted in pairs]
    scores = []
    for overlap in OVERLAPS:
        hits, wrong, lost = np.sum(
            [match_segments(y, predicted, overlap) for y, predicted in pairs], axis=0
        )
        scores.append(float(2 * hits / max(2 * hits + wrong + lost, 1)))
    predicted, true = (np.mean([len(runs(pair[side])) for pair in pairs]) for side in (1, 0))
    return Segments(float(np.mean(edits)), tuple(scores), float(predicted), float(true))


def edit_score(y: Labels, predicted: Labels) -> float:
    """Return 1 minus the Levenshtein distance of the sequences of segments over the longer one."""
    one, two = ([int(labels[begin]) for begin, _ in runs(labels)] for labels in (y, predicted))
    row = list(range(len(two) + 1))
    for place, truth in enumerate(one, 1):
        before, row[0] = row[0], place
        for column, segment in enumerate(two, 1):
            change = before + (truth != segment)
            before = row[column]
            row[column] = min(row[column] + 1, row[column - 1] + 1, change)
    return 1 - row[-1] / max(len(one), len(two))


def match_segments(y: Labels, predicted: Labels, overlap: float) -> tuple[int, int, int]:
    """Return how many predicted segments match a true one of their class, how many do not, and how
    many true segments are unmatched.

    Two segments match from an intersection over union of `overlap` on; a true one matches once.
    """
    truths, hits, wrong = runs(y), 0, 0
    found: set[int] = set()
    for begin, end in runs(predicted):
        shares = [
            _intersection_over_union((begin, end), truth)
            if predicted[begin] == y[truth[0]]
            else 0.0
            for truth in truths
        ]
        best = int(np.argmax(shares))
        if shares[best] >= overlap and best not in found:
            found.add(best)
            hits += 1
        else:
            wrong += 1
    return hits, wrong, len(truths) - len(found)


def _intersection_over_union(one: tuple[int, int], two: tuple[int, int]) -> float:
    inside = max(0, min(one[1], two[1]) - max(one[0], two[0]))
    return inside / (max(one[1], two[1]) - min(one[0], two[0]))


def rows_by_episode(
    episode: NDArray[np.str_] | NDArray[np.int64], t_ns: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of every episode, in the order of time."""
    order = np.lexsort((t_ns, episode))
    ordered = episode[order]
    yield from np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1)


def rows_of_episodes(windows: WindowSet) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of every episode of some windows, in the order of time."""
    return rows_by_episode(windows.episodes[1], windows.t_ns)
