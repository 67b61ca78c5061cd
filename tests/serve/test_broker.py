"""No event is lost without a notice, and a slow viewer holds up no other."""

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from phasewatch.serve.broker import QUEUE, RING, Broker, Viewer
from phasewatch.serve.counters import Counters
from phasewatch.serve.events import Event


class Tick(Event):
    kind = "tick"
    source = "test"
    number: int


class Window(Event):
    kind = "window"
    source = "test"
    keep = 5
    number: int


def waiting(viewer: Viewer) -> list[tuple[str, Any]]:
    """Return the names and data of the events that wait for a viewer."""
    found = []
    for message in b"".join(viewer._take()).decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in message.splitlines() if ": " in line)
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def numbers(viewer: Viewer, kind: str) -> list[int]:
    return [data["data"]["number"] for name, data in waiting(viewer) if name == kind]


def greeting(message: bytes) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(message.split(b"data: ")[1])
    return data


def test_a_new_viewer_is_sent_the_last_of_everything() -> None:
    broker = Broker(Counters())
    for number in range(9):
        broker.publish(Tick(number=number))
        broker.publish(Window(number=number))
    viewer = Viewer()
    greeted = greeting(broker.join(viewer, ""))
    assert greeted["resumed"] is False
    assert [data["data"]["number"] for _, data in waiting(viewer)] == [4, 5, 6, 7, 8, 8]


@given(st.integers(1, RING + 200), st.integers(0, RING + 300))
def test_a_viewer_that_returns_is_sent_all_it_missed_or_not_resumed(
    published: int, received: int
) -> None:
    broker = Broker(Counters())
    for number in range(1, published + 1):
        broker._ring.append(_tick(number))
    broker.seq = published
    viewer = Viewer()
    greeted = greeting(broker.join(viewer, f"{broker.boot}:{received}"))
    if greeted["resumed"]:
        assert len(viewer) == published - received == greeted["replayed"]
    else:
        assert received > published or published - received > RING


def _tick(number: int) -> Any:
    from phasewatch.serve.broker import Message

    return Message(number, "tick", b"")


def test_an_event_id_of_an_earlier_server_starts_from_the_beginning() -> None:
    broker, viewer = Broker(Counters()), Viewer()
    broker.publish(Tick(number=1))
    assert greeting(broker.join(viewer, "other:1"))["resumed"] is False
    assert len(viewer) == 1
    assert greeting(broker.join(Viewer(), f"{broker.boot}:x"))["resumed"] is False


def test_a_slow_viewer_loses_its_oldest_windows_and_is_sent_how_many() -> None:
    counters = Counters()
    broker, slow = Broker(counters), Viewer()
    broker.join(slow, "")
    broker.publish(Tick(number=0))
    for number in range(QUEUE + 10):
        broker.publish(Window(number=number))
    assert len(slow) == QUEUE and counters.value("events_dropped_total") == 11
    sent = waiting(slow)
    assert sent[0] == ("gap", {"dropped": 11})
    assert sent[1][0] == "tick"
    assert next(data["data"]["number"] for name, data in sent if name == "window") == 11
    broker.leave(slow)
    broker.publish(Tick(number=1))
    assert counters.value("viewers") == 0 and len(slow) == 0


def test_kinds_and_rate_are_the_viewers_choice() -> None:
    broker, some, few = Broker(Counters()), Viewer(["tick"]), Viewer((), max_hz=1)
    broker.join(some, "")
    broker.join(few, "")
    for number in range(3):
        broker.publish(Window(number=number))
        broker.publish(Tick(number=number))
    assert numbers(some, "window") == [] and len(some) == 0
    sent = waiting(few)
    assert [data["data"]["number"] for name, data in sent if name == "window"] == [2]
    assert [data["data"]["number"] for name, data in sent if name == "tick"] == [0, 1, 2]


def test_the_stream_gives_chunks_until_it_is_closed() -> None:
    async def listen() -> list[bytes]:
        broker, viewer = Broker(Counters()), Viewer()
        broker.join(viewer, "")
        chunks = []
        broker.publish(Tick(number=1))
        async for chunk in viewer.stream():
            chunks.append(chunk)
            if len(chunks) == 1:
                broker.publish(Tick(number=2))
            else:
                viewer.close()
        return chunks

    first, second = asyncio.run(listen())
    assert b'"number":1' in first and b'"number":2' in second
    assert first.startswith(b"id: ")
