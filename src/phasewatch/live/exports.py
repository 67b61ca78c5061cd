"""Incidents for other tools: as JSON Lines, as OCSF findings, and as a STIX 2.1 bundle."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from phasewatch.live.incidents import NAMESPACE, Incident
from phasewatch.live.outputs.ocsf import finding
from phasewatch.schema import NS

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
"""MITRE ATT&CK's short names of its enterprise tactics; a phase of any other name is no tactic."""


def json_lines(found: Sequence[Incident]) -> str:
    """Return one JSON object a line and incident; nanoseconds are strings."""
    lines = []
    for one in found:
        value = {"id": one.id, **asdict(one), "opened_ns": str(one.opened_ns)}
        value["closed_ns"] = str(one.closed_ns) if one.closed_ns is not None else None
        lines.append(json.dumps(value) + "\n")
    return "".join(lines)


def ocsf(found: Sequence[Incident]) -> str:
    """Return one OCSF Detection Finding a line and incident, as it stands at its last window."""
    lines = []
    for one in found:
        closed = one.closed_ns is not None
        value = finding(one, "closed" if closed else "opened", one.closed_ns or one.opened_ns)
        lines.append(json.dumps(value) + "\n")
    return "".join(lines)


def stix(found: Sequence[Incident]) -> str:
    """Return a STIX 2.1 bundle: every incident, and a sighting of each of its tactics on its host.

    A phase is a tactic, not a technique, so an attack pattern carries a kill chain phase and no
    technique's id.
    """
    import stix2

    objects: dict[str, Any] = {}

    def add(kind: Any, key: str, **fields: Any) -> Any:
        id = f"{kind._type}--{uuid.uuid5(NAMESPACE, f'phasewatch/{kind._type}/{key}')}"
        return objects.setdefault(id, kind(id=id, **fields))

    if not found:
        return str(stix2.Bundle().serialize(pretty=True))
    epoch = _time(min(one.opened_ns for one in found))
    stamps = {"created": epoch, "modified": epoch}
    tool = add(stix2.Identity, "tool", name="Phasewatch", identity_class="system", **stamps)
    created = {**stamps, "created_by_ref": tool.id}
    for one in found:
        where = add(stix2.Identity, one.host, name=one.host, identity_class="system", **created)
        add(
            stix2.Incident,
            one.id,
            name=f"{', '.join(one.phases)} on {one.host}",
            description=f"predicted by {one.model}, peak probability {one.peak:.2f}; {one.machine}",
            **created,
        )
        for phase in one.phases:
            tactic = add(
                stix2.AttackPattern, phase, name=phase, kill_chain_phases=_chain(phase), **created
            )
            add(
                stix2.Sighting,
                f"{one.id}/{phase}",
                sighting_of_ref=tactic.id,
                where_sighted_refs=[where.id],
                first_seen=_time(one.opened_ns),
                last_seen=_time(one.closed_ns or one.opened_ns),
                confidence=round(100 * one.peak),
                **created,
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
