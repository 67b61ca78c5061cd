"""Does it keep up on this box? The machine that serves, once a second."""

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
"""Where a Raspberry Pi says, in bits, that it was slowed down: bit 2 now, bit 18 since boot."""


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
    """Once a second, as long as anything is served."""

    kinds: ClassVar[tuple[type[Event], ...]] = (Perf,)
    fill = "phasewatch serve"

    def work(self, stop: Signal) -> None:
        """See `Perf`."""
        own, began = psutil.Process(), time.monotonic()
        psutil.cpu_percent(percpu=True)
        while not stop.wait(1.0):
            self.tell(self._measure(own, time.monotonic() - began))

    def _measure(self, own: psutil.Process, uptime_s: float) -> Perf:
        cores = [percent / 100 for percent in psutil.cpu_percent(percpu=True)]
        memory, counted = psutil.virtual_memory(), self.given.counted
        judged = counted.get("window_s", ())
        latencies: dict[str, list[float]] = counted.get("latency_s", {})
        return Perf(
            host=platform.node(),
            device=_device(),
            cpu_ratio=sum(cores) / max(len(cores), 1),
            cores_ratio=cores,
            rss_bytes=own.memory_info().rss,
            mem_available_bytes=memory.available,
            mem_total_bytes=memory.total,
            soc_celsius=_celsius(),
            throttled=_throttled(),
            disk_free_bytes=psutil.disk_usage(os.getcwd()).free,
            models=[_latency(key, list(times)) for key, times in latencies.items() if times],
            window=_latency("all", list(judged)) if judged else None,
            windows_per_s=float(counted.get("windows_per_s", 0.0)),
            deadline_s=counted.get("deadline_s"),
            deadline_misses_total=int(counted.get("deadline_misses", 0)),
            windows_skipped_total=int(counted.get("windows_skipped", 0)),
            samples_late_total=int(counted.get("samples_late", 0)),
            queue_depth=int(counted.get("queue_depth", 0)),
            events_dropped_total=int(counted.get("events_dropped", 0)),
            viewers=int(counted.get("viewers", 0)),
            viewers_cut_total=int(counted.get("viewers_cut", 0)),
            uptime_s=uptime_s,
        )


def _latency(key: str, times: list[float]) -> ModelLatency:
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return ModelLatency(
        key=key, count=len(times), p50_s=p50, p95_s=p95, p99_s=p99, max_s=max(times)
    )


def _device() -> str:
    """A Raspberry Pi's name, or the processor's."""
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
