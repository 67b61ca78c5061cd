"""Incidents instead of one alarm a window, under the names of the machine, its host and the model.

They are raised by the alarm rule that the evaluation chose on validation (`phasewatch.alarm`). A
report of 0.2.0 or before has none, and its threshold on the probability of one window is applied
with hysteresis, as then. A model without either raises nothing.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasewatch.errors import Refused
from phasewatch.live.incident_log import IncidentSpan

if TYPE_CHECKING:
    from phasewatch.live.ensemble import Member
    from phasewatch.live.machine import Machine, WindowPrediction

CLEAR_AFTER = 2
"""Windows in a row below the lower threshold after which an incident is over."""

NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""RFC 4122's namespace for URLs: the same incident has the same id on every export."""


@dataclass(frozen=True)
class Hysteresis:
    """Raise at `high`, a probability of any hostile phase; clear after `CLEAR_AFTER` under `low`.

    Between the two nothing changes, so a probability that wavers about the threshold is one
    incident.
    """

    high: float
    low: float

    @classmethod
    def at(cls, threshold: float) -> "Hysteresis":
        """Return the rule for an operating point: cleared at half the odds it is raised at."""
        return cls(threshold, threshold / (2 - threshold))


@dataclass(frozen=True)
class WindowScore:
    """One model's prediction for the window that ended at `end_ns`, reduced to what alarms need.

    `hostile` is the probability, 0 to 1, of any phase but the first (benign); `phase` is the
    likeliest of the hostile phases.
    """

    end_ns: int
    hostile: float
    phase: str


@dataclass(frozen=True)
class Incident:
    """From the window that opened an incident to the last that speaks for it.

    `machine` is an episode id. `closed_ns` is None while the incident is open; `peak` is the
    largest hostile probability; `phases` stand in the order in which they were first predicted.
    """

    machine: str
    host: str
    model: str
    opened_ns: int
    closed_ns: int | None
    peak: float
    windows: int
    phases: tuple[str, ...]

    @property
    def id(self) -> str:
        """The same UUID on every export."""
        name = f"phasewatch/{self.machine}/{self.model}/{self.opened_ns}"
        return str(uuid.uuid5(NAMESPACE, name))


def incidents(
    scores: Iterable[WindowScore], rule: Hysteresis, machine: str, host: str, model: str
) -> list[Incident]:
    """Return the incidents of one machine under one model; `scores` in the order of time."""
    found: list[Incident] = []
    current: list[WindowScore] = []
    below = 0
    for score in scores:
        if not current:
            if score.hostile >= rule.high:
                current, below = [score], 0
            continue
        current.append(score)
        below = below + 1 if score.hostile < rule.low else 0
        if below == CLEAR_AFTER:
            found.append(_incident(current[:-CLEAR_AFTER], True, (machine, host, model)))
            current = []
    if current:
        found.append(_incident(current[: len(current) - below], False, (machine, host, model)))
    return found


def _incident(
    scores: Sequence[WindowScore], closed: bool, identity: tuple[str, str, str]
) -> Incident:
    phases = tuple(dict.fromkeys(score.phase for score in scores))
    peak = max(score.hostile for score in scores)
    closed_ns = scores[-1].end_ns if closed else None
    return Incident(*identity, scores[0].end_ns, closed_ns, peak, len(scores), phases)


def machine_incidents(
    machine: "Machine", episode_id: str, host: str, key: str, threshold: float | None
) -> list[Incident]:
    """Return the incidents of a machine under the model `key`.

    `threshold` is that of a report without alarm rules; then only windows that the machine still
    holds count. Raises Refused when the ensemble has no such model, or the model has neither.
    """
    member = machine.ensemble.member(key)
    if key in machine.incidents:
        spans = machine.incidents[key].spans
        return [_named(span, (episode_id, host, key)) for span in spans]
    if threshold is None:
        raise Refused(
            f"model {key}",
            "has no operating point",
            "a threshold that met the alarm budget on validation hosts",
            "`phasewatch run` chooses one; where none met the budget, nothing is raised.",
        )
    classes = machine.ensemble.schema.classes
    # A machine that runs now gets windows from another thread meanwhile.
    predictions = list(machine.predictions.values())
    scores = [_score(member, one, classes) for one in predictions]
    return incidents(scores, Hysteresis.at(threshold), episode_id, host, key)


def _named(span: IncidentSpan, identity: tuple[str, str, str]) -> Incident:
    closed_ns = None if span.open else span.last_ns
    return Incident(*identity, span.opened_ns, closed_ns, span.peak, span.windows, span.phases)


def _score(member: "Member", window: "WindowPrediction", classes: Sequence[str]) -> WindowScore:
    p = member.probabilities(window.logits[member.key])
    return WindowScore(window.end_ns, float(1 - p[0]), classes[1 + int(p[1:].argmax())])
