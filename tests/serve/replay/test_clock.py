"""The clock's promises, and the operations that move it."""

from types import SimpleNamespace
from typing import Any

import pytest

from phasewatch.errors import Refused
from phasewatch.serve.replay.clock import OPERATIONS, Clock, refuse_invalid


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Any:
    time: Any = SimpleNamespace(at=100.0)
    time.monotonic = lambda: time.at
    monkeypatch.setattr("phasewatch.serve.replay.clock.time", time)
    return time


def test_a_paused_clock_does_not_advance(now: Any) -> None:
    clock = Clock(_since=100.0)
    now.at = 110.0
    assert clock.position_s(60) == 0
    clock.put(5.0)
    clock.state, clock.speed = "playing", 4.0
    now.at = 112.0
    assert clock.position_s(60) == 13.0
    now.at = 200.0
    assert clock.position_s(60) == 60


def test_a_paused_clock_resumes_at_its_position(now: Any) -> None:
    clock = Clock(state="playing", _since=100.0)
    now.at = 110.0
    clock.hold(60)
    clock.speed = 2.0
    now.at = 115.0
    assert clock.position_s(60) == 20.0
    found = clock.transport(60, True)
    assert (found.position_s, found.speed, found.control) == (20.0, 2.0, True)


def test_an_outdated_revision_is_refused() -> None:
    clock = Clock(revision=4)
    clock.refuse_stale(None)
    clock.refuse_stale(4)
    with pytest.raises(Refused, match="moved by another viewer") as refused:
        clock.refuse_stale(3)
    assert refused.value.code == "stale"


@pytest.mark.parametrize(
    ("operation", "value"),
    [
        ("dance", None),
        ("seek", "soon"),
        ("seek", None),
        ("seek", float("nan")),
        ("step", float("inf")),
        ("speed", 3),
        ("loop", [9, 3]),
        ("loop", [-1, 3]),
        ("loop", [1]),
        ("loop", 7),
        ("load", 7),
    ],
)
def test_invalid_operations_are_refused(operation: str, value: Any) -> None:
    with pytest.raises(Refused, match="cannot be done"):
        refuse_invalid(operation, value)


def test_every_operation_is_accepted() -> None:
    values: dict[str, Any] = {"seek": 3.5, "step": -1, "speed": 0.25, "loop": (1, 2), "load": "id"}
    for operation in OPERATIONS:
        refuse_invalid(operation, values.get(operation))
    refuse_invalid("loop", None)
