"""What was told, and who has heard it: one line of events for any number of viewers.

An event is put into its envelope once and shared. Every viewer has a bounded queue: one that is
slow loses its oldest windows, and is told how many, and never holds up a producer or another
viewer. Ids are `<boot>:<seq>`, so a viewer that comes back is given what it missed, or is told that
it cannot be.
"""

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from phasewatch.io import atomic
from phasewatch.serve import events
from phasewatch.serve.events import Event

QUEUE = 64
"""Events that wait for a viewer, before the oldest windows are dropped."""

RING = 2048
"""Events kept for viewers that come back."""

PING_S = 15.0
RETRY_MS = 2000


@dataclass(frozen=True)
class Message:
    """One event as it goes out."""

    seq: int
    kind: str
    message: bytes


class Broker:
    """All that was told since it began, as far as it is kept."""

    def __init__(self, counted: dict[str, Any]) -> None:
        self.boot = secrets.token_hex(3)
        self.seq = 0
        self.dropped = 0
        self._lock = threading.Lock()
        self._ring: deque[Message] = deque(maxlen=RING)
        self._last: dict[tuple[str, str], deque[Message]] = {}
        self._viewers: set[Viewer] = set()
        self._counted = counted

    def tell(self, event: Event) -> None:
        """Give an event to all viewers; from any thread, and never waits."""
        with self._lock:
            self.seq += 1
            id = f"{self.boot}:{self.seq}"
            data = events.envelope(event, id, time.time_ns())
            line = b"id: %s\nevent: %s\ndata: %s\n\n"
            message = line % (id.encode(), event.kind.encode(), data)
            told = Message(self.seq, event.kind, message)
            self._ring.append(told)
            subject = (event.kind, event.subject)
            self._last.setdefault(subject, deque(maxlen=event.keep)).append(told)
            for viewer in self._viewers:
                self.dropped += viewer.put(told)
            self._count()
            _rouse(self._viewers)

    def _count(self) -> None:
        depth = max((len(viewer) for viewer in self._viewers), default=0)
        self._counted |= {
            "viewers": len(self._viewers),
            "queue_depth": depth,
            "events_dropped": self.dropped,
            "events_total": self.seq,
        }

    def join(self, viewer: "Viewer", last_id: str) -> bytes:
        """A viewer from now on; returns its greeting: does it go on, and the server's clock."""
        with self._lock:
            missed = self._missed(last_id)
            told = self._snapshot() if missed is None else missed
            for one in told:
                viewer.put(one, counting=False)
            self._viewers.add(viewer)
            self._count()
            facts = {
                "boot": self.boot,
                "seq": self.seq,
                "resumed": missed is not None,
                "replayed": len(told),
                "time_ms": time.time_ns() // 1_000_000,
            }
        return b"retry: %d\nevent: hello\ndata: %s\n\n" % (RETRY_MS, atomic.canonical_json(facts))

    def leave(self, viewer: "Viewer") -> None:
        """A viewer that is gone."""
        with self._lock:
            self._viewers.discard(viewer)
            self._count()

    def _missed(self, last_id: str) -> list[Message] | None:
        """What came after an id; None when that cannot be told without a gap."""
        boot, _, number = last_id.partition(":")
        if boot != self.boot or not number.isdecimal():
            return None
        after = int(number)
        oldest = self._ring[0].seq if self._ring else 1
        if after > self.seq or after + 1 < oldest:
            return None
        return [told for told in self._ring if told.seq > after]

    def _snapshot(self) -> list[Message]:
        """The last of every subject, in the order in which they were told."""
        return sorted((told for kept in self._last.values() for told in kept), key=_seq)


def _seq(told: Message) -> int:
    return told.seq


def _rouse(viewers: Iterable["Viewer"]) -> None:
    """Wake those whom something awaits: one call into each loop, which costs more than a viewer."""
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Event]] = {}
    for viewer in viewers:
        if viewer.loop is not None and len(viewer):
            waiting.setdefault(viewer.loop, []).append(viewer.ready)
    for loop, signals in waiting.items():
        with suppress(RuntimeError):  # It has ended, and its viewers with it.
            loop.call_soon_threadsafe(_set, signals)


def _set(signals: Iterable[asyncio.Event]) -> None:
    for signal in signals:
        signal.set()


class Viewer:
    """One stream of events: `kinds` wanted (all when empty), `max_hz` for windows and figures."""

    def __init__(self, kinds: Iterable[str] = (), max_hz: float | None = None) -> None:
        self._kinds = frozenset(kinds)
        self._every_s = 1 / max_hz if max_hz else 0.0
        self._queue: deque[Message] = deque()
        self._dropped = 0
        self._lock = threading.Lock()
        self._closed = False
        self.loop: asyncio.AbstractEventLoop | None = None
        """That of its stream, in which `ready` may be set."""
        self.ready = asyncio.Event()

    def __len__(self) -> int:
        """Events that wait."""
        return len(self._queue)

    def put(self, told: Message, counting: bool = True) -> int:
        """Queue an event; returns how many older ones had to go."""
        if self._kinds and told.kind not in self._kinds:
            return 0
        gone = 0
        with self._lock:
            self._queue.append(told)
            if counting and len(self._queue) > QUEUE:
                gone = self._drop()
        return gone

    def _drop(self) -> int:
        """The oldest window goes first, and then the oldest of all."""
        windows = (place for place, told in enumerate(self._queue) if told.kind == "window")
        del self._queue[next(windows, 0)]
        self._dropped += 1
        return 1

    def _take(self) -> list[bytes]:
        with self._lock:
            waiting, self._queue = self._queue, deque()
            dropped, self._dropped = self._dropped, 0
        kept = list(waiting)
        if self._every_s:
            newest = {told.kind: told.seq for told in waiting}
            steady = ("window", "perf")
            kept = [one for one in waiting if one.kind not in steady or newest[one.kind] == one.seq]
        gap = [b'event: gap\ndata: {"dropped":%d}\n\n' % dropped] if dropped else []
        return gap + [told.message for told in kept]

    def close(self) -> None:
        """Its stream ends with what it has been given; called in its loop."""
        self._closed = True
        self.ready.set()

    async def stream(self) -> AsyncIterator[bytes]:
        """Chunks as they come, with a comment where nothing came for `PING_S`."""
        self.loop, ready = asyncio.get_running_loop(), self.ready
        ready.set()
        while not self._closed:
            try:
                async with asyncio.timeout(PING_S):
                    await ready.wait()
            except TimeoutError:
                yield b": ping\n\n"
                continue
            ready.clear()
            chunk = b"".join(self._take())
            if chunk:
                yield chunk
                await asyncio.sleep(self._every_s)
