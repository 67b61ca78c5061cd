"""Incidents as other tools read them: the same on every export."""

import json
from dataclasses import replace

from tests.live.test_incidents import seen

from phasewatch.live.exports import json_lines, ocsf, stix
from phasewatch.schema import NS


def test_json_lines_keep_nanoseconds() -> None:
    (line,) = json_lines(seen(0.9)).splitlines()
    value = json.loads(line)
    assert value["opened_ns"] == str(1_790_000_000 * NS)
    assert value["closed_ns"] is None


def test_stix_names_tactics_and_machine_and_no_technique() -> None:
    found = seen(0.85, 0.95, 0.1, 0.1)
    bundle = json.loads(stix(found))
    kinds = [one["type"] for one in bundle["objects"]]
    assert kinds.count("incident") == 1 and kinds.count("sighting") == 2
    assert all(one["spec_version"] == "2.1" for one in bundle["objects"])
    chains = [one["kill_chain_phases"] for one in bundle["objects"] if "kill_chain_phases" in one]
    assert {chain[0]["phase_name"] for chain in chains} == {"impact", "discovery"}
    ids = {one["id"] for one in bundle["objects"]}
    repeated = {one["id"] for one in json.loads(stix(found))["objects"]}
    assert ids == repeated
    for one in bundle["objects"]:
        if one["type"] == "sighting":
            assert one["sighting_of_ref"] in ids
            assert set(one["where_sighted_refs"]) <= ids


def test_a_phase_outside_attack_is_exported_without_a_tactic() -> None:
    (one,) = seen(0.85, 0.95, 0.1, 0.1)
    text = stix([replace(one, phases=("lateral_movement", "mining"))])
    chains = {
        part["name"]: [chain["phase_name"] for chain in part.get("kill_chain_phases", ())]
        for part in json.loads(text)["objects"]
        if part["type"] == "attack-pattern"
    }
    assert chains == {"lateral_movement": ["lateral-movement"], "mining": []}


def test_no_incident_is_an_empty_bundle() -> None:
    assert "objects" not in json.loads(stix([]))
    assert json_lines([]) == ""


def test_ocsf_is_a_finding_a_line_with_the_same_ids() -> None:
    found = seen(0.85, 0.95, 0.1, 0.1)
    values = [json.loads(line) for line in ocsf(found).splitlines()]
    assert [one["finding_info"]["uid"] for one in values] == [one.id for one in found]
    assert [one["activity_id"] for one in values] == [3]
    assert ocsf([]) == ""
