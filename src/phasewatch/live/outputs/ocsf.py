"""Incidents as Detection Findings of the Open Cybersecurity Schema Framework (OCSF), version 1.5.

A phase is a tactic of MITRE ATT&CK, so a finding names tactics and no technique. Phasewatch does
not rate severity, so a finding's is unknown.
"""

from collections.abc import Sequence
from typing import Literal

from phasewatch import __version__
from phasewatch.live.incidents import Incident

Activity = Literal["opened", "changed", "closed"]
ACTIVITIES: dict[Activity, int] = {"opened": 1, "changed": 2, "closed": 3}
VERSION = "1.5.0"
FINDINGS, DETECTION = 2, 2004
UNKNOWN_SEVERITY = 0
LEARNING = 4
"""OCSF's type of an analytic that was learned."""

TACTICS = {
    "reconnaissance": "TA0043",
    "resource_development": "TA0042",
    "initial_access": "TA0001",
    "execution": "TA0002",
    "persistence": "TA0003",
    "privilege_escalation": "TA0004",
    "defense_evasion": "TA0005",
    "credential_access": "TA0006",
    "discovery": "TA0007",
    "lateral_movement": "TA0008",
    "collection": "TA0009",
    "command_and_control": "TA0011",
    "exfiltration": "TA0010",
    "impact": "TA0040",
}
"""MITRE ATT&CK's identifiers of its enterprise tactics; a phase of any other name is no tactic."""


def finding(one: Incident, activity: Activity, now_ns: int) -> dict[str, object]:
    """Return an incident as a Detection Finding, as it stands at `now_ns` in Unix ns."""
    last_ns = one.closed_ns or now_ns
    return {
        "activity_id": ACTIVITIES[activity],
        "category_uid": FINDINGS,
        "class_uid": DETECTION,
        "type_uid": 100 * DETECTION + ACTIVITIES[activity],
        "severity_id": UNKNOWN_SEVERITY,
        "time": _milliseconds(now_ns),
        "message": f"{', '.join(one.phases)} on {one.host}, predicted by {one.model}",
        "confidence_score": round(100 * one.peak),
        "count": one.windows,
        "metadata": {
            "version": VERSION,
            "product": {"name": "Phasewatch", "vendor_name": "Phasewatch", "version": __version__},
        },
        "resources": [{"name": one.host, "uid": one.machine, "type": "machine"}],
        "finding_info": {
            "uid": one.id,
            "title": f"{', '.join(one.phases)} on {one.host}",
            "created_time": _milliseconds(one.opened_ns),
            "first_seen_time": _milliseconds(one.opened_ns),
            "last_seen_time": _milliseconds(last_ns),
            "analytic": {"name": one.model, "type_id": LEARNING},
            **_attacks(one.phases),
        },
    }


def _attacks(phases: Sequence[str]) -> dict[str, object]:
    known = [phase for phase in phases if phase in TACTICS]
    found = [
        {"tactic": {"name": phase.replace("_", " ").title(), "uid": TACTICS[phase]}}
        for phase in known
    ]
    return {"attacks": found} if found else {}


def _milliseconds(ns: int) -> int:
    return ns // 1_000_000
