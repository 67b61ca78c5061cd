"""Counts false incidents and noticed phases in episodes, by the definitions of decision 43."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasewatch import alarm
from phasewatch.alarm import AlarmRule, Trace, WindowEvidence
from phasewatch.evaluation import timing
from phasewatch.evaluation.predictions import Predictions

BENIGN = 0
STRIDES_AFTER = 4
"""Strides after a hostile phase in which an incident that opens is not false."""

BENIGN_DAY_S = 600.0
"""Length from which on an episode without a hostile phase is a benign day."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class HostilePhase:
    """A hostile phase of class `phase`, whose windows are `[first, end)`.

    These are the windows that end in the phase, and those after them that still hold time of it and
    of no later hostile phase. `began_s` is when it began, in seconds since the first window.
    """

    phase: int
    first: int
    end: int
    began_s: float


@dataclass(frozen=True)
class Course:
    """The windows of one episode in the order of time: what each says, and what is true.

    `calm[N]` is where an incident that opens is false, and `clear[N]` where the truth is not
    ambiguous; `t_s[N]` are ends of windows in seconds. Of the phases, those that are ambiguous as a
    whole are left out.
    """

    windows: tuple[WindowEvidence, ...]
    calm: Mask
    clear: Mask
    t_s: NDArray[np.float64]
    phases: tuple[HostilePhase, ...]

    @property
    def supports(self) -> Mask:
        """Whether a clear window by itself is more probably hostile than benign, `[N]`."""
        return np.array([one.log_odds > 0 for one in self.windows]) & self.clear

    def benign_day(self, stride_s: float) -> bool:
        """Whether the episode is long and has no hostile phase."""
        return not self.phases and len(self.t_s) * stride_s >= BENIGN_DAY_S


def courses(one: Predictions, temperature: float, stride_s: float) -> list[Course]:
    """Return every episode of some predictions with the evidence of its windows."""
    return [
        _course(one.take(rows), temperature, stride_s)
        for rows in timing.rows_by_episode(one.windows.episode, one.windows.t_ns)
    ]


def _course(one: Predictions, temperature: float, stride_s: float) -> Course:
    windows = one.windows
    clear = ~windows.ambiguous
    t_s = (windows.t_ns - windows.t_ns[0]) / 1e9
    began = t_s - windows.since_s
    # The opening is benign, so nothing hostile came before the phase of the first window.
    first_phase = began <= began[0] + 1e-3
    past = first_phase | (windows.since_s >= STRIDES_AFTER * stride_s)
    phases = tuple(
        HostilePhase(int(windows.y[first]), first, _last_trace(windows.y, windows.purity, end), at)
        for first, end in timing.runs(windows.y)
        if windows.y[first] != BENIGN and clear[first:end].any()
        for at in [float(began[first])]
    )
    evidence = tuple(alarm.evidence_of(logits, temperature) for logits in one.logits)
    return Course(evidence, (windows.y == BENIGN) & past & clear, clear, t_s, phases)


def _last_trace(y: NDArray[np.int64], purity: NDArray[np.float64], end: int) -> int:
    """Return the end of the windows that hold time of a phase whose last label is at `end - 1`."""
    while end < len(y) and y[end] == BENIGN and purity[end] < 1:
        end += 1
    return end


# ---------------------------------------------------------------- counting


@dataclass(frozen=True)
class Tally:
    """What R rules did on the windows of one or several episodes.

    `false[R]` incidents in `calm` windows, of which `open_calm[R]` with an open incident; for each
    of P phases whether it is `noticed[R,P]`, whether `named[R,P]`, the `delay_s[R,P]`, NaN where
    it is not noticed, and its `episode[P]`.
    """

    false: NDArray[np.int64]
    calm: int
    open_calm: NDArray[np.int64]
    noticed: Mask
    named: Mask
    delay_s: NDArray[np.float64]
    episode: NDArray[np.int64]

    @property
    def episodes(self) -> Mask:
        """Whether each rule notices a phase of each hostile episode, `[R,E]`."""
        of_episode = [self.noticed[:, self.episode == one] for one in np.unique(self.episode)]
        columns = [phases.any(axis=1) for phases in of_episode]
        return np.stack(columns, axis=1) if columns else self.noticed


def tally(course: Course, found: Trace, episode: int = 0) -> Tally:
    """Count what rules did on one episode, by the definitions of decision 43."""
    opened, places = found.opened, np.arange(found.open.shape[1])
    latest = np.maximum.accumulate(np.where(opened, places, -1), axis=1)
    genuine = found.open & ~course.calm[latest]
    noticing = genuine & course.supports
    noticed = [noticing[:, one.first : one.end].any(axis=1) for one in course.phases]
    first = [one.first + noticing[:, one.first : one.end].argmax(axis=1) for one in course.phases]
    rules = len(found.open)
    shape = (rules, len(course.phases))
    named, delay = np.zeros(shape, np.bool_), np.full(shape, np.nan)
    for place, (one, hit, at) in enumerate(zip(course.phases, noticed, first, strict=True)):
        named[:, place] = hit & (found.phase[np.arange(rules), at] == one.phase)
        delay[hit, place] = course.t_s[at[hit]] - one.began_s
    return Tally(
        (opened & course.calm).sum(axis=1),
        int(course.calm.sum()),
        (found.open & course.calm).sum(axis=1),
        np.stack(noticed, axis=1) if noticed else np.zeros(shape, np.bool_),
        named,
        delay,
        np.full(len(course.phases), episode),
    )


def pooled(tallies: Sequence[Tally]) -> Tally:
    """Return the counts of several episodes together. Raises ValueError without one."""
    joined = {
        name: np.concatenate([getattr(one, name) for one in tallies], axis=-1)
        for name in ("noticed", "named", "delay_s", "episode")
    }
    return Tally(
        false=np.sum([one.false for one in tallies], axis=0),
        calm=sum(one.calm for one in tallies),
        open_calm=np.sum([one.open_calm for one in tallies], axis=0),
        **joined,
    )


def tally_all(of: Iterable[Course], rules: Sequence[AlarmRule]) -> Tally:
    """Return what rules of one temperature do on episodes. Raises ValueError without one."""
    return pooled(
        [
            tally(course, alarm.trace(rules, course.windows), place)
            for place, course in enumerate(of)
        ]
    )
