"""The decision rule for incidents: evidence that a machine is hostile, cumulated over windows.

`advance` is the whole rule. Evaluation, `alerts`, `serve` and `watch` call it window by window, so
an incident is the same offline and live. The evidence is a clipped cumulative sum of log-odds
(CUSUM: Page, Biometrika 41, 1954); with `retain` 0 it forgets every earlier window, which is the
threshold on one window. Needs nothing but numpy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasewatch.errors import Refused

Number = float | NDArray[np.float64]
"""A number of one rule, or one for each of several rules, `[R]`."""

CEILING = 16.0
"""Highest evidence, in nats. It bounds the time until a machine that is calm again is cleared."""

PHASE_RETAIN = 0.5
"""Most that is kept of what earlier windows say about the phase: phases follow each other."""


@dataclass(frozen=True)
class AlarmRule:
    """When an incident opens, and when it closes.

    `temperature` divides logits. Log-odds are clipped to ±`cap`, and `drift` is subtracted; of the
    evidence before, `retain` (0 to 1) is kept. An incident opens at evidence `threshold`; it closes
    after `calm` windows in a row with evidence of `threshold - gap`, or of zero, or below.
    """

    temperature: float
    retain: float
    drift: float
    cap: float
    threshold: float
    gap: float
    calm: float

    @classmethod
    def parse(cls, value: object, where: object) -> "AlarmRule":
        """Return the rule that JSON values describe. Raises Refused."""
        names = [field.name for field in fields(cls)]
        numbers = value if isinstance(value, dict) else {}
        if sorted(numbers) == sorted(names) and all(map(_finite, numbers.values())):
            rule = cls(**{name: float(numbers[name]) for name in names})
            if rule.temperature > 0 and 0 <= rule.retain <= 1 and rule.cap > 0 and rule.calm >= 1:
                return rule
        raise Refused(
            where,
            "is no alarm rule",
            f"finite numbers {', '.join(names)}; temperature and cap above 0, retain up to 1",
            "Make it again with `phasewatch evaluate`.",
            code="alarm_rule",
        )


@dataclass(frozen=True)
class RuleStack:
    """R rules side by side: every number of `AlarmRule` as an array `[R]`."""

    retain: NDArray[np.float64]
    drift: NDArray[np.float64]
    cap: NDArray[np.float64]
    threshold: NDArray[np.float64]
    gap: NDArray[np.float64]
    calm: NDArray[np.float64]

    @classmethod
    def of(cls, rules: Sequence[AlarmRule]) -> "RuleStack":
        """Return rules as arrays, without their temperatures."""
        names = (field.name for field in fields(cls))
        return cls(*(np.array([getattr(one, name) for one in rules]) for name in names))


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


@dataclass(frozen=True)
class WindowEvidence:
    """What one window says: log-odds of hostile against benign, and which phase if hostile.

    `phases[K-1]` are log-probabilities of the hostile phases, given that it is one of them.
    """

    log_odds: float
    phases: tuple[float, ...]


def evidence_of(logits: NDArray[np.floating[Any]], temperature: float) -> WindowEvidence:
    """Return what a window with `logits[K]` says at a temperature; the first class is benign.

    Logits are rounded to single precision first, in which those of a window predicted alone equal
    those of a batch. Every sum is taken in the order of classes, one window at a time, so that
    the result does not depend on how many windows there are.
    """
    benign, *hostile = (float(np.float32(value)) / temperature for value in logits)
    most = max(hostile)
    total = most + math.log(sum(math.exp(value - most) for value in hostile))
    return WindowEvidence(total - benign, tuple(value - total for value in hostile))


@dataclass(frozen=True)
class AlarmState:
    """What a rule remembers of a machine: a few numbers, however long the machine runs.

    `evidence` is 0 to `CEILING`. `phases[..., K-1]` is the same for each hostile phase, 0 for the
    likeliest and negative for others. `calm` counts windows in a row that speak for closing.
    """

    evidence: Number
    phases: NDArray[np.float64]
    open: bool | NDArray[np.bool_]
    calm: Number

    @classmethod
    def first(cls, hostile: int, rules: tuple[int, ...] = ()) -> "AlarmState":
        """Return the state before the first window, for one rule or an array of them."""
        nothing = np.zeros(rules)
        return cls(nothing, np.zeros((*rules, hostile)), nothing > 0, nothing)

    @property
    def phase(self) -> NDArray[np.int64]:
        """The class of the hostile phase with most evidence; the first of several such."""
        return 1 + np.asarray(self.phases.argmax(axis=-1))


def advance(rule: AlarmRule | RuleStack, state: AlarmState, window: WindowEvidence) -> AlarmState:
    """Return the state after one more window. Evidence never falls when log-odds rise."""
    kept = np.asarray(rule.retain * state.evidence)
    step = np.clip(window.log_odds, -np.asarray(rule.cap), rule.cap) - rule.drift
    evidence = np.clip(kept + step, 0.0, CEILING)
    low = evidence <= np.maximum(np.asarray(rule.threshold) - rule.gap, 0.0)
    calm = np.where(state.open & low, np.asarray(state.calm) + 1, 0.0)
    is_open = (evidence >= rule.threshold) | (state.open & (calm < rule.calm))
    # What an earlier, forgotten stretch looked like says nothing about the phase of this one.
    past = np.where(kept > 0, np.minimum(rule.retain, PHASE_RETAIN), 0.0)[..., None] * state.phases
    phases = past + np.asarray(window.phases)
    phases = np.maximum(phases - phases.max(axis=-1, keepdims=True), -CEILING)
    return AlarmState(evidence, phases, is_open, np.where(is_open, calm, 0.0))


@dataclass(frozen=True)
class Trace:
    """What several rules decided at each window of one machine, `[R,N]`.

    `open` is whether an incident is open, `phase` the class that it has, and `evidence` its state.
    """

    evidence: NDArray[np.float64]
    open: NDArray[np.bool_]
    phase: NDArray[np.int64]

    @property
    def opened(self) -> NDArray[np.bool_]:
        """Whether an incident opens at the window, `[R,N]`."""
        before = np.zeros_like(self.open)
        before[:, 1:] = self.open[:, :-1]
        return self.open & ~before


def trace(rules: Sequence[AlarmRule], windows: Sequence[WindowEvidence]) -> Trace:
    """Return what rules of one temperature decide on the windows of one machine, in order of time.

    Raises ValueError without a rule or a window.
    """
    if not rules or not windows:
        raise ValueError("no rule or no window")
    stacked = RuleStack.of(rules)
    state = AlarmState.first(len(windows[0].phases), (len(rules),))
    states = [state := advance(stacked, state, window) for window in windows]
    return Trace(
        np.stack([np.asarray(one.evidence) for one in states], axis=1),
        np.stack([np.asarray(one.open) for one in states], axis=1),
        np.stack([one.phase for one in states], axis=1),
    )
