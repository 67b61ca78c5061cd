"""The machine under watch and the machines of a fleet are shown, and incidents reach the ledger."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tests.served import serving, until

from phasewatch.errors import Refused
from phasewatch.experiment.pipeline import RunResult
from phasewatch.experiment.run import Run
from phasewatch.live.incidents import machine_incidents
from phasewatch.serve.access import Access
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.fleet.played import headlined
from phasewatch.serve.producers.fleet import Producer
from phasewatch.serve.replay.library import Library
from phasewatch.store.local import Store


@pytest.fixture
def context(toy_run: RunResult, toy_out: Path, toy_store: Store, tmp_path: Path) -> ProducerContext:
    """A context whose first episode has an incident."""
    library = Library(ProducerContext(Run(toy_out), toy_store))
    key = headlined(library).key

    def has_incident(id: str) -> bool:
        return bool(machine_incidents(library.replayed(id)[1], id, "any", key, None))

    first = next(id for id in toy_store.ids() if has_incident(id))
    ledger = tmp_path / "ledger.sqlite"
    return ProducerContext(Run(toy_out), toy_store, (first,), ledger=ledger)


def test_the_machine_under_watch_is_shown_with_its_incidents(context: ProducerContext) -> None:
    stream = "/api/events?types=machine"
    with serving(context, Access(control=True)) as one, one.events(stream) as events:
        one.turn("speed", 64)
        until(lambda: one.get("/api/incidents"), 60)
        _, _, first = events.next("machine")
        assert first["data"]["episode_id"] == context.episodes[0]
        (row, *_) = one.get("/api/incidents")
        assert row["episode"] == context.episodes[0] and row["channels"]
        metrics = one.ask("/metrics")[2].decode()
        machine = row["machine"]
        assert f'phasewatch_incidents_total{{machine="{machine}"}} 1.0' in metrics
        assert f'phasewatch_phase_probability{{machine="{machine}",phase="benign"}}' in metrics
        exported = [json.loads(line) for line in one.ask("/api/incidents.jsonl")[2].splitlines()]
        assert row["id"] in {found["id"] for found in exported}
        finding = json.loads(one.ask(f"/api/incidents.ocsf.jsonl?id={row['id']}")[2])
        assert (finding["class_uid"], finding["finding_info"]["uid"]) == (2004, row["id"])
        bundle = json.loads(one.ask(f"/api/incidents.stix.json?id={row['id']}")[2])
        assert bundle["type"] == "bundle"
        assert one.ask("/api/incidents.csv")[0] == 404
        assert one.ask("/api/incidents.jsonl?id=nobody")[0] == 422


def test_what_people_do_is_kept_and_told_to_all(context: ProducerContext) -> None:
    with serving(context, Access(control=True)) as one:
        one.turn("speed", 64)
        until(lambda: one.get("/api/incidents"), 60)
        (row, *_) = one.get("/api/incidents")
        origin = f"http://127.0.0.1:{one.port}"

        def act(**body: object) -> tuple[int, object]:
            status, _, answer = one.ask(f"/api/incidents/{row['id']}", "POST", body, origin=origin)
            return status, json.loads(answer)

        assert act(op="acknowledge")[0] == 200
        assert act(op="note", text="is a backup")[0] == 200
        assert act(op="mute", text="until tomorrow", minutes=60)[0] == 200
        found = one.get("/api/incidents")[0]
        assert found["acknowledged_ns"] and found["mute_reason"] == "until tomorrow"
        assert [note["text"] for note in found["notes"]] == ["is a backup"]
        assert act(op="note", text="")[0] == 422
        assert act(op="reopen")[0] == act(op="unmute")[0] == 200
        found = one.get("/api/incidents")[0]
        assert found["acknowledged_ns"] is found["muted_until_ns"] is None
    kept = sqlite3.connect(context.ledger or "")
    assert kept.execute("SELECT count(*) FROM note").fetchone() == (1,)


def test_without_control_nothing_can_be_done(context: ProducerContext) -> None:
    with serving(context, Access()) as one:
        origin = f"http://127.0.0.1:{one.port}"
        status = one.ask("/api/incidents/any", "POST", {"op": "acknowledge"}, origin=origin)[0]
        assert status == 403


def test_every_machine_of_a_fleet_is_shown(context: ProducerContext) -> None:
    with serving(replace(context, fleet=5), Access()) as one:
        with one.events("/api/events?types=machine") as events:
            names: set[str] = set()
            while len(names) < 5:
                names.add(events.next("machine")[2]["data"]["machine"])
        assert one.runtime.failures == {}
        assert {name[:2] for name in names} == {"01", "02", "03", "04", "05"}


def test_without_a_store_there_is_no_ledger() -> None:
    producer = Producer(ProducerContext(None, None), lambda event: None)
    with pytest.raises(Refused, match="has no ledger of incidents"):
        producer.act("any", "acknowledge", "", 1.0)
