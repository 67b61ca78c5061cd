"""Incidents instead of one alarm a window: raised at the operating point, cleared well below it.

The operating point is the threshold that the evaluation chose on validation hosts; a model without
one raises nothing. Incidents leave as JSON Lines or as a STIX 2.1 bundle.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from phasewatch.schema import NS

CALM = 2
"""Windows in a row below the lower threshold after which an incident is over."""

NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""RFC 4122's for URLs: the same incident has the same id on every export."""

TACTICS = frozenset(
    {
        "reconnaissance",
        "resource-development",
        "initial-access",
        "execution",
        "persistence",
        "privilege-escalation",
        "defense-evasion",
        "credential-access",
        "discovery",
        "lateral-movement",
        "collection",
        "command-and-control",
        "exfiltration",
        "impact",
    }
)
"""MITRE ATT&CK's own short names of its enterprise tactics; other phases are none of them."""


@dataclass(frozen=True)
class Hysteresis:
    """Raise at `high`, a probability of any hostile phase; clear after `CALM` windows under `low`.

    Between the two nothing changes, so a call that wavers about the threshold is one incident.
    """

    high: float
    low: float

    @classmethod
    def at(cls, threshold: float) -> "Hysteresis":
        """Around an operating point: cleared at half the odds it was raised at."""
        return cls(threshold, threshold / (2 - threshold))


@dataclass(frozen=True)
class Sight:
    """What one model said of one window: when it ended, `hostile` 0..1, and its likeliest phase.

    `phase` is the likeliest of the hostile ones.
    """

    end_ns: int
    hostile: float
    phase: str


@dataclass(frozen=True)
class Incident:
    """From the first window over the threshold to the last before it was calm; null while open."""

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
        """The same on every export."""
        told = f"phasewatch/{self.machine}/{self.model}/{self.opened_ns}"
        return str(uuid.uuid5(NAMESPACE, told))


def incidents(
    sights: Iterable[Sight], rule: Hysteresis, machine: str, host: str, model: str
) -> list[Incident]:
    """The incidents of one machine under one model, windows in the order of time."""
    found: list[Incident] = []
    current: list[Sight] = []
    calm = 0
    for sight in sights:
        if not current:
            if sight.hostile >= rule.high:
                current, calm = [sight], 0
            continue
        current.append(sight)
        calm = calm + 1 if sight.hostile < rule.low else 0
        if calm == CALM:
            found.append(_incident(current[:-CALM], True, (machine, host, model)))
            current = []
    if current:
        found.append(_incident(current[: len(current) - calm], False, (machine, host, model)))
    return found


def _incident(sights: Sequence[Sight], over: bool, who: tuple[str, str, str]) -> Incident:
    phases = tuple(dict.fromkeys(sight.phase for sight in sights))
    peak = max(sight.hostile for sight in sights)
    closed = sights[-1].end_ns if over else None
    return Incident(*who, sights[0].end_ns, closed, peak, len(sights), phases)


def json_lines(found: Sequence[Incident]) -> str:
    """One incident a line; nanoseconds as strings."""
    lines = []
    for one in found:
        value = {"id": one.id, **asdict(one), "opened_ns": str(one.opened_ns)}
        value["closed_ns"] = str(one.closed_ns) if one.closed_ns is not None else None
        lines.append(json.dumps(value) + "\n")
    return "".join(lines)


def stix(found: Sequence[Incident]) -> str:
    """A STIX 2.1 bundle: an incident, and a sighting of each tactic on the machine it was seen on.

    A phase is a tactic, not a technique, so the attack patterns carry a kill chain phase and no
    technique's id.
    """
    import stix2

    objects: dict[str, Any] = {}

    def add(kind: Any, key: str, **told: Any) -> Any:
        id = f"{kind._type}--{uuid.uuid5(NAMESPACE, f'phasewatch/{kind._type}/{key}')}"
        return objects.setdefault(id, kind(id=id, **told))

    if not found:
        return str(stix2.Bundle().serialize(pretty=True))
    epoch = _time(min(one.opened_ns for one in found))
    stamps = {"created": epoch, "modified": epoch}
    tool = add(stix2.Identity, "tool", name="Phasewatch", identity_class="system", **stamps)
    own = {**stamps, "created_by_ref": tool.id}
    for one in found:
        where = add(stix2.Identity, one.host, name=one.host, identity_class="system", **own)
        add(
            stix2.Incident,
            one.id,
            name=f"{', '.join(one.phases)} on {one.host}",
            description=f"called by {one.model}, peak probability {one.peak:.2f}; {one.machine}",
            **own,
        )
        for phase in one.phases:
            tactic = add(
                stix2.AttackPattern, phase, name=phase, kill_chain_phases=_chain(phase), **own
            )
            add(
                stix2.Sighting,
                f"{one.id}/{phase}",
                sighting_of_ref=tactic.id,
                where_sighted_refs=[where.id],
                first_seen=_time(one.opened_ns),
                last_seen=_time(one.closed_ns or one.opened_ns),
                confidence=round(100 * one.peak),
                **own,
            )
    return str(stix2.Bundle(list(objects.values())).serialize(pretty=True))


def _chain(phase: str) -> list[Any]:
    import stix2

    name = phase.replace("_", "-")
    if name not in TACTICS:
        return []
    return [stix2.KillChainPhase(kill_chain_name="mitre-attack", phase_name=name)]


def _time(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / NS, UTC)
