"""Does the serving machine keep up? Its load, latencies and losses, once a second."""

import os
import platform
import time
from pathlib import Path
from threading import Event as Signal
from typing import ClassVar

import numpy as np
import psutil

from phasewatch.serve import events
from phasewatch.serve.events import Event, Record

THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""Where a Raspberry Pi reports, in bits, that it was slowed down: bit 2 now, bit 18 since boot."""


class Throttled(Record):
    """Whether the processor is slowed down by heat or weak power, now and ever since boot."""

    now: bool
    ever: bool


class ModelLatency(Record):
    """Seconds from a window to logits, over the last windows: of a model, or of all in a row."""

    key: str
    count: int
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float


class Perf(Event):
    """How the serving machine does: its load, its latencies, what it had to skip or drop."""

    kind = "perf"
    source = "perf"
    every_s = 1.0
    host: str
    device: str
    cpu_ratio: float
    cores_ratio: list[float]
    rss_bytes: int
    mem_available_bytes: int
    mem_total_bytes: int
    soc_celsius: float | None
    throttled: Throttled | None
    disk_free_bytes: int
    models: list[ModelLatency]
    window: ModelLatency | None
    windows_per_s: float
    deadline_s: float | None
    deadline_misses_total: int
    windows_skipped_total: int
    samples_late_total: int
    queue_depth: int
    events_dropped_total: int
    viewers: int
    viewers_cut_total: int
    uptime_s: float


class Producer(events.Producer):
    """Publishes one event a second as long as the server runs."""

    kinds: ClassVar[tuple[type[Event], ...]] = (Perf,)
    fill = "phasewatch serve"

    def work(self, stop: Signal) -> None:
        """Measure and publish every second until `stop`."""
        process, began = psutil.Process(), time.monotonic()
        psutil.cpu_percent(percpu=True)
        while not stop.wait(1.0):
            self.publish(self.measure(process, time.monotonic() - began))

    def measure(self, process: psutil.Process, uptime_s: float) -> Perf:
        """Return the event as of now; `process` is the server, `uptime_s` how long it runs."""
        cores = [percent / 100 for percent in psutil.cpu_percent(percpu=True)]
        memory, counters = psutil.virtual_memory(), self.context.counters
        by_model, in_all = counters.latencies()
        return Perf(
            host=platform.node(),
            device=_device(),
            cpu_ratio=sum(cores) / max(len(cores), 1),
            cores_ratio=cores,
            rss_bytes=process.memory_info().rss,
            mem_available_bytes=memory.available,
            mem_total_bytes=memory.total,
            soc_celsius=_celsius(),
            throttled=_throttled(),
            disk_free_bytes=psutil.disk_usage(os.getcwd()).free,
            models=[_latency(key, seconds) for key, seconds in by_model.items()],
            window=_latency("all", in_all) if in_all else None,
            windows_per_s=counters.windows_per_s,
            deadline_s=counters.deadline_s,
            deadline_misses_total=counters.value("deadline_misses_total"),
            windows_skipped_total=counters.value("windows_skipped_total"),
            samples_late_total=counters.value("samples_late_total"),
            queue_depth=counters.value("queue_depth"),
            events_dropped_total=counters.value("events_dropped_total"),
            viewers=counters.value("viewers"),
            viewers_cut_total=counters.value("viewers_cut_total"),
            uptime_s=uptime_s,
        )


def _latency(key: str, seconds: list[float]) -> ModelLatency:
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99])
    return ModelLatency(
        key=key, count=len(seconds), p50_s=p50, p95_s=p95, p99_s=p99, max_s=max(seconds)
    )


def _device() -> str:
    """Return the name of the board, such as a Raspberry Pi, or of the processor's architecture."""
    try:
        return Path("/proc/device-tree/model").read_text().strip("\0\n ")
    except OSError:
        return platform.machine()


def _celsius() -> float | None:
    try:
        return int(THERMAL.read_text()) / 1000
    except (OSError, ValueError):
        return None


def _throttled() -> Throttled | None:
    try:
        bits = int(THROTTLED.read_text(), 16)
    except (OSError, ValueError):
        return None
    return Throttled(now=bool(bits & 1 << 2), ever=bool(bits & 1 << 18))
