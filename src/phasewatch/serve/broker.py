"""The events published so far, and the queues of the viewers that are sent them.

An event is put into its envelope once and shared. Every viewer has a bounded queue: a slow one
loses its oldest windows, is sent how many, and never holds up a producer or another viewer. Ids are
`<boot>:<seq>`, so a viewer that reconnects is sent what it missed, or that it cannot be.
"""

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass

from phasewatch.io import atomic
from phasewatch.serve import events
from phasewatch.serve.counters import Counters
from phasewatch.serve.events import Event

QUEUE = 64
"""Events that wait for a viewer before the oldest windows are dropped."""

RING = 2048
"""Events stored for viewers that reconnect."""

MAX_DIGITS = 18
"""The most digits of the number in an event's id."""

PING_S = 2.0
"""Seconds after which a stream without events says that the server is there."""

RETRY_MS = 2000


@dataclass(frozen=True)
class Message:
    """One event as it is sent: its number, its kind, and its lines of the stream."""

    seq: int
    kind: str
    message: bytes


class Broker:
    """Numbers events, keeps the last ones, and queues them for every viewer."""

    def __init__(self, counters: Counters) -> None:
        self.boot = secrets.token_hex(3)
        self.seq = 0
        self._lock = threading.Lock()
        self._ring: deque[Message] = deque(maxlen=RING)
        self._last: dict[tuple[str, str], deque[Message]] = {}
        self._viewers: set[Viewer] = set()
        self._counters = counters

    def publish(self, event: Event) -> None:
        """Queue an event for all viewers; from any thread, and without waiting for any viewer."""
        with self._lock:
            self.seq += 1
            id = f"{self.boot}:{self.seq}"
            data = events.envelope(event, id, time.time_ns())
            line = b"id: %s\nevent: %s\ndata: %s\n\n"
            message = Message(self.seq, event.kind, line % (id.encode(), event.kind.encode(), data))
            self._ring.append(message)
            subject = (event.kind, event.subject)
            self._last.setdefault(subject, deque(maxlen=event.keep)).append(message)
            self._counters.events.inc()
            self._counters.events_dropped.inc(sum(one.put(message) for one in self._viewers))
            self._count()
            _wake(self._viewers)

    def _count(self) -> None:
        """Set the gauges of viewers and of the longest queue."""
        depth = max((len(viewer) for viewer in self._viewers), default=0)
        self._counters.viewers.set(len(self._viewers))
        self._counters.queue_depth.set(depth)

    def join(self, viewer: "Viewer", last_id: str) -> bytes:
        """Add a viewer, queue what it missed since `last_id`, and return its greeting.

        The `hello` event has whether the stream was resumed, and the server's clock.
        """
        with self._lock:
            missed = self._missed(last_id)
            queued = self._snapshot() if missed is None else missed
            for message in queued:
                viewer.put(message, counting=False)
            self._viewers.add(viewer)
            self._count()
            facts = {
                "boot": self.boot,
                "seq": self.seq,
                "resumed": missed is not None,
                "replayed": len(queued),
                "time_ms": time.time_ns() // 1_000_000,
            }
        return b"retry: %d\nevent: hello\ndata: %s\n\n" % (RETRY_MS, atomic.canonical_json(facts))

    def leave(self, viewer: "Viewer") -> None:
        """Remove a viewer whose connection has ended."""
        with self._lock:
            self._viewers.discard(viewer)
            self._count()

    def published(self, kind: str) -> bool:
        """Return whether an event of a kind was published since this broker began."""
        with self._lock:
            return any(known == kind for known, _ in self._last)

    def _missed(self, last_id: str) -> list[Message] | None:
        """Return the messages after an id; None when there would be a gap."""
        boot, _, number = last_id.partition(":")
        if boot != self.boot or not number.isdecimal() or len(number) > MAX_DIGITS:
            return None
        after = int(number)
        oldest = self._ring[0].seq if self._ring else 1
        if after > self.seq or after + 1 < oldest:
            return None
        return [message for message in self._ring if message.seq > after]

    def _snapshot(self) -> list[Message]:
        """Return the last messages of every subject, in the order in which they were published."""
        return sorted((one for last in self._last.values() for one in last), key=_seq)


def _seq(message: Message) -> int:
    return message.seq


def _wake(viewers: Iterable["Viewer"]) -> None:
    """Wake the streams that have something to send: one call into each loop, as calls cost most."""
    waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Event]] = {}
    for viewer in viewers:
        if viewer.loop is not None and len(viewer):
            waiting.setdefault(viewer.loop, []).append(viewer.ready)
    for loop, signals in waiting.items():
        with suppress(RuntimeError):  # The loop has ended, and its viewers with it.
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
        """The event loop of its stream, in which `ready` may be set."""
        self.ready = asyncio.Event()

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._queue)

    def put(self, message: Message, counting: bool = True) -> int:
        """Queue a message of a wanted kind; return how many older ones were dropped for it."""
        if self._kinds and message.kind not in self._kinds:
            return 0
        dropped = 0
        with self._lock:
            self._queue.append(message)
            if counting and len(self._queue) > QUEUE:
                dropped = self._drop()
        return dropped

    def _drop(self) -> int:
        """Drop the oldest window, or the oldest message when no window waits."""
        windows = (place for place, one in enumerate(self._queue) if one.kind == "window")
        del self._queue[next(windows, 0)]
        self._dropped += 1
        return 1

    def _take(self) -> list[bytes]:
        """Empty the queue, and return what to send of it: steady events alone as the newest."""
        with self._lock:
            waiting, self._queue = self._queue, deque()
            dropped, self._dropped = self._dropped, 0
        sent = list(waiting)
        if self._every_s:
            newest = {one.kind: one.seq for one in waiting}
            steady = ("window", "perf")
            sent = [one for one in waiting if one.kind not in steady or newest[one.kind] == one.seq]
        gap = [b'event: gap\ndata: {"dropped":%d}\n\n' % dropped] if dropped else []
        return gap + [one.message for one in sent]

    def close(self) -> None:
        """End the stream after what is queued; called in its loop."""
        self._closed = True
        self.ready.set()

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield chunks as they come, and a `ping` when nothing came for `PING_S`."""
        self.loop, ready = asyncio.get_running_loop(), self.ready
        ready.set()
        while not self._closed:
            try:
                async with asyncio.timeout(PING_S):
                    await ready.wait()
            except TimeoutError:
                yield b"event: ping\ndata: {}\n\n"
                continue
            ready.clear()
            chunk = b"".join(self._take())
            if chunk:
                yield chunk
                await asyncio.sleep(self._every_s)
