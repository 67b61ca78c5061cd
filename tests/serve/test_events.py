"""An event in its envelope, and values of a file that are no event."""

import json

import pytest

from phasewatch.errors import Refused
from phasewatch.serve import events
from phasewatch.serve.events import Event


class Odd(Event):
    kind = "odd"
    source = "test"
    value: float | None
    t_ns: events.Nanoseconds


def test_the_envelope_is_a_cloud_event() -> None:
    event = Odd(value=None, t_ns=1_790_000_000_123_456_789)
    sent = json.loads(events.envelope(event, "b00t:7", 1_790_000_000_000_000_000))
    assert sent["specversion"] == "1.0"
    assert sent["id"] == "b00t:7"
    assert (sent["source"], sent["subject"]) == ("/phasewatch/test", "odd")
    assert sent["type"] == "phasewatch.odd.v1"
    assert sent["dataschema"] == "/api/schemas/odd.v1.json"
    assert sent["time"].startswith("2026-09-21T")
    assert sent["data"] == {"value": None, "t_ns": "1790000000123456789"}


def test_a_value_that_is_no_number_is_refused_by_field() -> None:
    with pytest.raises(Refused, match="value"):
        events.parse(Odd, {"value": "much", "t_ns": 1}, "somewhere")
    with pytest.raises(Refused, match="finite"):
        events.parse(Odd, {"value": float("nan"), "t_ns": 1}, "somewhere")
