"""Findings against the schema that OCSF publishes.

tests/vendor/ocsf-1.5.0-detection_finding.json is class 2004 of OCSF 1.5.0 (Apache-2.0) as JSON
Schema, written by ocsf-json-schema 1.2.0 from the published definitions.
"""

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from tests.json_schema import violations
from tests.paths import ROOT

from phasewatch import schema
from phasewatch.live.exports import TACTICS as NAMES
from phasewatch.live.incidents import Incident
from phasewatch.live.outputs.ocsf import TACTICS, Activity, finding
from phasewatch.schema import NS

PUBLISHED = json.loads(
    (ROOT / "tests" / "vendor" / "ocsf-1.5.0-detection_finding.json").read_text("utf-8")
)
T = 1_790_000_000 * NS
ONE = Incident("web", "web", "gbt-realistic", T, None, 0.987, 4, ("discovery", "impact"))


def wrong(value: Any) -> list[str]:
    return list(violations(value, PUBLISHED, PUBLISHED))


@pytest.mark.parametrize("activity", get_args(Activity))
@pytest.mark.parametrize("phases", [("discovery", "impact"), ("mining",), ("exfiltration",)])
def test_a_finding_is_of_the_published_schema(activity: Activity, phases: tuple[str, ...]) -> None:
    one = replace(ONE, phases=phases, closed_ns=T + 9 * NS if activity == "closed" else None)
    value = json.loads(json.dumps(finding(one, activity, T + 10 * NS)))
    assert wrong(value) == []


def test_the_schema_would_object() -> None:
    value = json.loads(json.dumps(finding(ONE, "opened", T)))
    assert wrong({**value, "class_uid": 7}) and wrong({**value, "extra": 1})
    assert wrong({name: one for name, one in value.items() if name != "finding_info"})
    assert wrong({**value, "resources": [{"type": "machine"}]})
    assert wrong({**value, "time": "now"})


def test_a_finding_names_machine_tactics_model_and_times() -> None:
    value: Any = finding(ONE, "changed", T + 10 * NS)
    info = value["finding_info"]
    assert (value["type_uid"], value["confidence_score"]) == (200402, 99)
    assert info["uid"] == ONE.id and info["first_seen_time"] == 1_790_000_000_000
    assert info["last_seen_time"] == 1_790_000_010_000
    assert [one["tactic"]["uid"] for one in info["attacks"]] == ["TA0007", "TA0040"]
    assert value["resources"][0]["name"] == "web" and info["analytic"]["name"] == "gbt-realistic"


def test_every_hostile_phase_of_the_lab_is_a_tactic_and_names_agree_with_stix() -> None:
    assert set(schema.vm46().classes[1:]) <= set(TACTICS)
    assert {name.replace("_", "-") for name in TACTICS} == NAMES
    assert len(set(TACTICS.values())) == len(TACTICS)
