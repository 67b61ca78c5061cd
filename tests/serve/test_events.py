"""The contract: generated documents are fresh, and every kind keeps the house rules."""

import json
from typing import Any

import pytest
from tests.paths import ROOT

from phasewatch.errors import Refused
from phasewatch.serve import documents, events
from phasewatch.serve.events import Event

DOCS = ROOT / "docs" / "events"
UNITS = ("_s", "_ns", "_bytes", "_ratio", "_hz", "_celsius", "_bits")
COUNTED = ("_total",)


def test_four_producers_tell_six_kinds() -> None:
    assert set(documents.find()) == {"metrics", "perf", "profiles", "replay"}
    told = {"episode", "window", "scoreboard", "comparison", "perf", "profile"}
    assert set(documents.kinds()) == told


def test_generated_documents_are_fresh() -> None:
    found = documents.documents()
    assert {path.name for path in DOCS.iterdir()} == set(found), "phasewatch events --out"
    stale = [name for name, data in found.items() if (DOCS / name).read_bytes() != data]
    assert not stale, "run: phasewatch events --out docs/events"


@pytest.mark.parametrize("kind", documents.kinds().values(), ids=list(documents.kinds()))
def test_every_field_is_told_even_when_it_is_not_known(kind: type[Event]) -> None:
    made = documents.schema(kind)
    for name, part in {"itself": made, **made.get("$defs", {})}.items():
        if part.get("type") == "object" and "properties" in part:
            assert set(part["required"]) == set(part["properties"]), name
            assert part["additionalProperties"] is False


@pytest.mark.parametrize("kind", documents.kinds().values(), ids=list(documents.kinds()))
def test_nanoseconds_are_strings_and_nothing_else_is_a_bare_time(kind: type[Event]) -> None:
    def walk(value: Any) -> None:
        for name, part in value.get("properties", {}).items():
            if name.endswith("_ns"):
                assert part["type"] == "string", name
        for part in value.get("$defs", {}).values():
            walk(part)

    walk(documents.schema(kind))


class Odd(Event):
    kind = "odd"
    value: float | None
    t_ns: events.Nanoseconds


def test_the_envelope_is_a_cloud_event() -> None:
    made = Odd(value=None, t_ns=1_790_000_000_123_456_789)
    whole = json.loads(events.envelope(made, "b00t:7", 1_790_000_000_000_000_000))
    assert whole["specversion"] == "1.0"
    assert whole["id"] == "b00t:7"
    assert whole["type"] == "phasewatch.odd.v1"
    assert whole["time"].startswith("2026-09-21T")
    assert whole["data"] == {"value": None, "t_ns": "1790000000123456789"}


def test_a_number_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="value"):
        events.parse(Odd, {"value": "much", "t_ns": 1}, "somewhere")
    with pytest.raises(Refused, match="finite"):
        events.parse(Odd, {"value": float("nan"), "t_ns": 1}, "somewhere")


def test_asyncapi_names_every_kind() -> None:
    made = documents.asyncapi()
    assert set(made["components"]["messages"]) == set(documents.kinds())
    assert all(one["summary"] for one in made["components"]["messages"].values())
