"""What a defender feels: how late a phase is called, how often for nothing, how restless the calls.

All of it is computed from calls in the order of time, episode by episode. A call counts from the
end of its window on, when somebody could have had it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from phasewatch.features.views import Array

Labels = NDArray[np.int64]
STABLE_WINDOWS = 2
"""Windows in a row that must be right before a phase is said to be called."""

OVERLAPS = (0.10, 0.25, 0.50)


@dataclass(frozen=True)
class Onset:
    """A phase's beginning in an episode, and how long its first stable call took.

    `seconds` run from the onset to the call, or to the phase's last window when it was `missed`.
    """

    episode: str
    phase: int
    seconds: float
    missed: bool


def runs(y: Labels) -> list[tuple[int, int]]:
    """Stretches `[begin, end)` of equal values."""
    edges = np.flatnonzero(np.diff(y)) + 1
    cuts = [0, *edges.tolist(), len(y)]
    return [(begin, end) for begin, end in pairwise(cuts) if end > begin]


def onsets(episode: str, y: Labels, guess: Labels, t_s: Array, since_s: Array) -> list[Onset]:
    """Every phase of one episode; `t_s` the windows' ends, `since_s` since the phase began.

    A call is stable when it is right in `STABLE` windows in a row, or until the phase ends.
    """
    found = []
    for begin, end in runs(y):
        right = guess[begin:end] == y[begin]
        began = t_s[begin] - since_s[begin]
        stable = [
            place for place in range(len(right)) if right[place : place + STABLE_WINDOWS].all()
        ]
        last = begin + (stable[0] if stable else len(right) - 1)
        found.append(Onset(episode, int(y[begin]), float(t_s[last] - began), not stable))
    return found


@dataclass(frozen=True)
class DetectionDelay:
    """Onsets of one phase: how many, the share never called, and the delay's quantiles in seconds.

    Quantiles are Kaplan-Meier's, so phases that ended uncalled count as longer than they lasted;
    None where fewer than that share was ever called. `curve` is the share called by each second at
    which it rises.
    """

    onsets: int
    missed: float
    median_s: float | None
    p90_s: float | None
    curve: tuple[tuple[float, float], ...]


def detection_delay(found: Sequence[Onset]) -> DetectionDelay:
    """The distribution of delays; raises ValueError without an onset."""
    if not found:
        raise ValueError("no onset")
    called = [one.seconds for one in found if not one.missed]
    ended = [one.seconds for one in found if one.missed]
    curve = stats.ecdf(stats.CensoredData(uncensored=called, right=ended)).sf

    def quantile(share: float) -> float | None:
        below = np.flatnonzero(curve.probabilities <= 1 - share + 1e-12)
        return float(curve.quantiles[below[0]]) if len(below) else None

    steps = zip(curve.quantiles.tolist(), (1 - curve.probabilities).tolist(), strict=True)
    share = len(ended) / len(found)
    return DetectionDelay(len(found), share, quantile(0.5), quantile(0.9), tuple(steps))


@dataclass(frozen=True)
class FalseAlarmRate:
    """False alarms on benign time: events, host-hours, the rate and its 95 % interval.

    `across` is the interval for hosts like these, where there were enough of them.
    """

    events: int
    hours: float
    rate: float
    low: float
    high: float
    across_hosts: tuple[float, float] | None = None


def count_false_alarms(benign: NDArray[np.bool_], alarm: NDArray[np.bool_]) -> int:
    """Alarms of one episode that begin on benign time; one that outlasts an attack is not new."""
    before = np.concatenate([[False], alarm[:-1]])
    return int((alarm & ~before & benign).sum())


def false_alarm_rate(
    events: int, hours: float, across: tuple[float, float] | None = None
) -> FalseAlarmRate:
    """The rate with Garwood's exact Poisson interval (Biometrika 28, 1936)."""
    low = stats.chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    high = stats.chi2.ppf(0.975, 2 * events + 2) / 2
    within = (events / hours, float(low) / hours, float(high) / hours)
    return FalseAlarmRate(events, hours, *within, across)


@dataclass(frozen=True)
class Segments:
    """How the calls' segments lie to the truth's, after MS-TCN (Farha and Gall, CVPR 2019).

    `edit` is 1 minus the normalised edit distance between the two orders of segments, `f1` at each
    of `OVERLAPS`; `calls` and `truths` are segments an episode.
    """

    edit_score: float
    f1: tuple[float, ...]
    predicted: float
    true: float


def segment_scores(pairs: Sequence[tuple[Labels, Labels]]) -> Segments:
    """Of `(y, guess)` of every episode; raises ValueError without one."""
    if not pairs:
        raise ValueError("no episode")
    edits = [edit_score(y, guess) for y, guess in pairs]
    scores = []
    for overlap in OVERLAPS:
        hits, wrong, lost = np.sum(
            [match_segments(y, guess, overlap) for y, guess in pairs], axis=0
        )
        scores.append(float(2 * hits / max(2 * hits + wrong + lost, 1)))
    calls, truths = (np.mean([len(runs(pair[side])) for pair in pairs]) for side in (1, 0))
    return Segments(float(np.mean(edits)), tuple(scores), float(calls), float(truths))


def edit_score(y: Labels, guess: Labels) -> float:
    """1 minus Levenshtein's distance of the two orders of segments, over the longer one."""
    one, two = ([int(own[begin]) for begin, _ in runs(own)] for own in (y, guess))
    row = list(range(len(two) + 1))
    for place, truth in enumerate(one, 1):
        before, row[0] = row[0], place
        for column, call in enumerate(two, 1):
            change = before + (truth != call)
            before = row[column]
            row[column] = min(row[column] + 1, row[column - 1] + 1, change)
    return 1 - row[-1] / max(len(one), len(two))


def match_segments(y: Labels, guess: Labels, overlap: float) -> tuple[int, int, int]:
    """Called segments that lie on a true one of their class by `overlap`, false ones, lost ones.

    The overlap is intersection over union; a true segment is found once.
    """
    truths, hits, wrong = runs(y), 0, 0
    found: set[int] = set()
    for begin, end in runs(guess):
        shares = [
            _shared((begin, end), truth) if guess[begin] == y[truth[0]] else 0.0 for truth in truths
        ]
        best = int(np.argmax(shares))
        if shares[best] >= overlap and best not in found:
            found.add(best)
            hits += 1
        else:
            wrong += 1
    return hits, wrong, len(truths) - len(found)


def _shared(one: tuple[int, int], two: tuple[int, int]) -> float:
    inside = max(0, min(one[1], two[1]) - max(one[0], two[0]))
    return inside / (max(one[1], two[1]) - min(one[0], two[0]))


def rows_by_episode(
    episode: NDArray[np.str_], t_ns: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """The rows of every episode, in the order of time."""
    order = np.lexsort((t_ns, episode))
    cuts = np.flatnonzero(episode[order][1:] != episode[order][:-1]) + 1
    yield from np.split(order, cuts)
