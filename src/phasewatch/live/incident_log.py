"""The incidents of one model on one machine, kept up to date window by window."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch import alarm
from phasewatch.alarm import AlarmRule, AlarmState

KEPT_INCIDENTS = 1000
"""Closed incidents that stay in memory, the latest of a machine."""

MOST_EXPONENT = 700.0
"""The exponential of a little more is no finite number."""


@dataclass(frozen=True)
class IncidentSpan:
    """From the window that opened an incident, at `opened_ns`, to the last that speaks for it.

    `open` is whether it may still go on; `peak` is the largest probability of any hostile phase;
    `phases` are those that it was given, in this order, and `phase` is the last of them.
    """

    opened_ns: int
    last_ns: int
    open: bool
    peak: float
    windows: int
    phases: tuple[str, ...]
    phase: str


class IncidentLog:
    """The incidents of one machine under a rule: `spans`, the last KEPT_INCIDENTS and any open one.

    `classes` are those of the model's logits, benign first.
    """

    def __init__(self, rule: AlarmRule, classes: Sequence[str]) -> None:
        self.rule = rule
        self.state = AlarmState.first(len(classes) - 1)
        self._classes = tuple(classes)
        self._closed: deque[IncidentSpan] = deque(maxlen=KEPT_INCIDENTS)
        self._current: IncidentSpan | None = None
        self._unsure = 0
        """Windows since the last that spoke for the current incident."""

    @property
    def spans(self) -> list[IncidentSpan]:
        """The incidents in the order in which they opened."""
        return [*self._closed, *([self._current] if self._current else [])]

    @property
    def current(self) -> IncidentSpan | None:
        """The open incident, or None."""
        return self._current

    def add(self, end_ns: int, logits: NDArray[np.floating[Any]]) -> None:
        """Take the window that ended at `end_ns`; windows come in the order of time."""
        window = alarm.evidence_of(logits, self.rule.temperature)
        self.state = alarm.advance(self.rule, self.state, window)
        if not self.state.open:
            if self._current is not None:
                self._closed.append(replace(self._current, open=False))
            self._current, self._unsure = None, 0
        elif self.state.calm:
            self._unsure += 1
        else:
            # The logits of a machine far from training may exceed what exp takes.
            hostile = 1 / (1 + math.exp(min(-window.log_odds, MOST_EXPONENT)))
            self._current = self._longer(end_ns, hostile)
            self._unsure = 0

    def _longer(self, end_ns: int, hostile: float) -> IncidentSpan:
        """Return the current incident with one more window, or a new one."""
        phase, now = self._classes[int(self.state.phase)], self._current
        if now is None:
            return IncidentSpan(end_ns, end_ns, True, hostile, 1, (phase,), phase)
        return replace(
            now,
            last_ns=end_ns,
            peak=max(now.peak, hostile),
            windows=now.windows + 1 + self._unsure,
            phases=now.phases if phase in now.phases else (*now.phases, phase),
            phase=phase,
        )
