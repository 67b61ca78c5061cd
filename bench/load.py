"""Load test of the server: `python bench/load.py --run RUN --store STORE [--minutes 10]`.

One server on which all checkpoints predict an episode at 16 times its pace, again and again, and a
producer that publishes more events at a fixed rate. Every figure is of this machine, server
and viewers together. `--minutes` is for the last figure; all others take four minutes.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil

from phasewatch.experiment.run import Run
from phasewatch.serve import app
from phasewatch.serve.access import Access
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.producers import perf
from phasewatch.serve.runtime import Runtime
from phasewatch.store.local import Store

ROUNDS, STALL_S = 3, 20.0
"""Turns without and with stalled viewers, and how long each is."""


class Publisher(threading.Thread):
    """Publishes a perf event `hz` times a second, with the moment of publishing as its uptime."""

    def __init__(self, runtime: Runtime, hz: float) -> None:
        super().__init__(daemon=True)
        self.runtime, self.hz, self.ended = runtime, hz, threading.Event()
        self._event = perf.Producer(runtime.context, runtime.broker.publish).measure(
            psutil.Process(), 0.0
        )

    def run(self) -> None:
        due = time.monotonic()
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            stamp = {"uptime_s": time.monotonic(), "host": "load"}
            self.runtime.broker.publish(self._event.model_copy(update=stamp))
            due += 1 / self.hz


async def viewer(
    port: int, late: list[float], seconds: float, stalls: bool = False
) -> float | None:
    """Read events for `seconds` and append their delays; or never read, and return when cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.write(b"GET /api/events?types=perf HTTP/1.1\r\nhost: localhost\r\n\r\n")
    began = time.monotonic()
    if stalls:
        assert isinstance(writer.transport, asyncio.Transport)
        writer.transport.pause_reading()
        # Bytes the kernel holds are not read; what ends the connection is an error or its end.
        link = writer.get_extra_info("socket")
        while time.monotonic() - began < seconds:
            await asyncio.sleep(0.1)
            if closed(link):
                writer.transport.abort()
                return time.monotonic() - began
        writer.transport.abort()
        return None
    with contextlib.suppress(asyncio.TimeoutError):
        while time.monotonic() - began < seconds:
            line = await asyncio.wait_for(reader.readline(), seconds)
            if line.startswith(b"data: ") and b'"host":"load"' in line:
                late.append(time.monotonic() - json.loads(line[6:])["data"]["uptime_s"])
    writer.transport.abort()
    return None


def closed(link: socket.socket) -> bool:
    """Return whether the other side has closed or reset (TCP_INFO's state; 1 is established)."""
    return link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1


Crowd = tuple[list[float], list[float | None]]


def crowd(port: int, viewers: int, stalled: int, seconds: float) -> Crowd:
    """Delays of events for viewers that read, and the time after which the others were cut off."""
    return asyncio.run(_crowd(port, viewers, stalled, seconds))


async def _crowd(port: int, viewers: int, stalled: int, seconds: float) -> Crowd:
    late: list[float] = []
    stalls = [viewer(port, late, seconds, True) for _ in range(stalled)]
    reads = [viewer(port, late, seconds) for _ in range(viewers - stalled)]
    cut = await asyncio.gather(*stalls, *reads)
    return late, cut[:stalled]


def reconnects(port: int, times: int) -> tuple[int, int]:
    """Disconnect and resume with the last id; return undeclared gaps and resumptions."""
    return asyncio.run(_reconnects(port, times))


async def _reconnects(port: int, times: int) -> tuple[int, int]:
    last, gaps, resumed = "", 0, 0
    for _ in range(times):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        head = f"last-event-id: {last}\r\n" if last else ""
        writer.write(f"GET /api/events HTTP/1.1\r\nhost: localhost\r\n{head}\r\n".encode())
        before = int(last.partition(":")[2] or 0)
        fresh, until = False, before + 1
        while before < until:
            line = (await reader.readline()).decode().strip()
            if line.startswith("data: ") and '"resumed"' in line:
                greeting = json.loads(line[6:])
                fresh = not greeting["resumed"]
                resumed += not fresh
                # All that was missed, and something new.
                until = greeting["seq"] + 1
            elif line.startswith('data: {"dropped"'):
                # Declared: what is missing from here on is known to be.
                fresh = True
            elif line.startswith("id: "):
                last = line[4:]
                number = int(last.partition(":")[2])
                gaps += not fresh and number != before + 1
                before = number
        writer.transport.abort()
    return gaps, resumed


def say(what: str, **figures: object) -> None:
    """Print one line."""
    text = " · ".join(f"{key.replace('_', ' ')} {value}" for key, value in figures.items())
    sys.stdout.write(f"{what}: {text}\n")
    sys.stdout.flush()


def ms(values: list[float], share: float) -> str:
    """Return a percentile as text."""
    return f"{1000 * float(np.percentile(values, share)):.1f} ms" if values else "none"


def main() -> None:
    """Serve the run and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    store = Store.open(options.store)
    context = ProducerContext(Run.open(options.run), store, tuple(store.ids()[:3]))
    with Runtime(context).running() as runtime:
        while runtime.replay.playback.watched is None:
            time.sleep(0.1)
        runtime.replay.playback.control = True
        until_s = runtime.replay.playback.watched.episode.seconds - 1
        runtime.replay.playback.operate("loop", (20.0, until_s), None)
        runtime.replay.playback.operate("speed", 16, None)
        sock = app.listen("127.0.0.1", 0)
        server = app.server(app.application(runtime, Access()))
        threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True).start()
        port = sock.getsockname()[1]
        time.sleep(2)
        # Viewers in a process of their own, as they would be.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            measure(runtime, port, options.minutes, pool)
        server.should_exit = True


def measure(runtime: Runtime, port: int, minutes: float, pool: ProcessPoolExecutor) -> None:
    """Parse the command line and print every figure."""
    publisher = Publisher(runtime, 10)
    publisher.start()
    counters = runtime.context.counters
    counters.forget_latencies()
    late, _ = pool.submit(crowd, port, 100, 0, 60).result()
    per, in_all = counters.latencies()
    say("100 viewers, 10 events/s", late_p50=ms(late, 50), late_p99=ms(late, 99), events=len(late))
    worst = max(per, key=lambda key: float(np.percentile(per[key], 99)))
    say(
        "inference meanwhile",
        windows=len(in_all),
        all_models_p50=ms(in_all, 50),
        all_models_p99=ms(in_all, 99),
        slowest=worst,
        its_p99=ms(per[worst], 99),
    )
    alone: list[float] = []
    beside: list[float] = []
    cut: list[float | None] = []
    # The same 70 readers without and with 30 who stall, in turns: the machine's own unrest is even.
    for _ in range(ROUNDS):
        alone += pool.submit(crowd, port, 70, 0, STALL_S).result()[0]
        more, ends = pool.submit(crowd, port, 100, 30, STALL_S).result()
        beside, cut = beside + more, cut + ends
    gone = [one for one in cut if one is not None]
    change = 100 * (float(np.percentile(beside, 99)) / float(np.percentile(alone, 99)) - 1)
    say(
        "70 viewers, and 30 stalled",
        late_p99_without=ms(alone, 99),
        late_p99_beside_stalled=ms(beside, 99),
        change=f"{change:+.0f} %",
        cut=f"{len(gone)} of {len(cut)}",
        slowest_cut=f"{max(gone, default=0):.1f} s",
    )
    publisher.ended.set()
    publisher = Publisher(runtime, 100)
    publisher.start()
    gaps, resumed = pool.submit(reconnects, port, 1000).result()
    say("1,000 reconnects", undeclared_gaps=gaps, resumed=resumed)
    process, sizes = psutil.Process(), []

    watching = pool.submit(crowd, port, 10, 0, minutes * 60)
    while not watching.done():
        time.sleep(5)
        sizes.append(process.memory_info().rss / 2**20)
    third = max(len(sizes) // 3, 1)
    first, last = np.mean(sizes[:third]), np.mean(sizes[-third:])
    resident = {
        "resident_first_third": f"{first:.1f} MiB",
        "resident_last_third": f"{last:.1f} MiB",
    }
    say(
        f"{minutes:g} min at 100 events/s",
        **resident,
        dropped=counters.value("events_dropped_total"),
    )
    publisher.ended.set()


if __name__ == "__main__":
    main()
