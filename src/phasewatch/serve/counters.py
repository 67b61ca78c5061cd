"""What the server counts, for /metrics and the perf event; any thread may count and read.

Counters and gauges are those of prometheus_client, in a registry that no other library shares.
Prometheus stores no single latencies, and the perf event publishes exact percentiles of the last
ones, so these are stored here as well.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

RECENT = 1000
"""How many of the last latencies are stored for each model."""

LAGS_S = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Upper ends of the buckets of lags; one second is what 50 machines on two cores must keep."""

RATE_WINDOWS = 20
"""Windows over which their rate is measured."""

# A series of creation times beside each counter is noise that this server never published.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Counters:
    """All figures of one server; `deadline_s` is the stride, None while no stream has one."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = self._counter("events", "Events published.")
        self.events_dropped = self._counter(
            "events_dropped", "Events dropped from the queues of slow viewers."
        )
        self.viewers_cut = self._counter(
            "viewers_cut", "Viewers disconnected because they did not read."
        )
        self.windows = self._counter("windows", "Windows predicted.")
        self.windows_skipped = self._counter("windows_skipped", "Windows skipped to keep up.")
        self.samples_late = self._counter(
            "samples_late", "Samples that arrived after their window was predicted."
        )
        self.deadline_misses = self._counter(
            "deadline_misses", "Windows whose predictions took longer than a stride."
        )
        self.viewers = self._gauge("viewers", "Viewers connected now.")
        self.queue_depth = self._gauge("queue_depth", "Events in the longest queue now.")
        self._inference = Gauge(
            "phasewatch_inference_seconds",
            "Seconds from the last window to its logits.",
            ["model"],
            registry=self.registry,
        )
        self._lag = Histogram(
            "phasewatch_prediction_lag_seconds",
            "Seconds from the end of a machine's window to its prediction.",
            buckets=LAGS_S,
            registry=self.registry,
        )
        self._probability = self._labelled("phase_probability", "Of each phase, now.", "phase")
        self._incident_open = self._labelled("incident_open", "1 while an incident is open.")
        self._predicted_at = self._labelled(
            "prediction_time_seconds", "Unix time at which the last predicted window ended."
        )
        self._incidents = Counter(
            "phasewatch_incidents", "Incidents opened.", ["machine"], registry=self.registry
        )
        self.deadline_s: float | None = None
        self._lock = threading.Lock()
        self._by_model: dict[str, deque[float]] = {}
        self._in_all: deque[float] = deque(maxlen=RECENT)
        self._times: deque[float] = deque(maxlen=RATE_WINDOWS)

    def _counter(self, name: str, meaning: str) -> Counter:
        return Counter(f"phasewatch_{name}", meaning, registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"phasewatch_{name}", meaning, registry=self.registry)

    def _labelled(self, name: str, meaning: str, *labels: str) -> Gauge:
        """Return a gauge for each machine; there are as many as `MOST_MACHINES` of a fleet."""
        names = ["machine", *labels]
        return Gauge(f"phasewatch_{name}", meaning, names, registry=self.registry)

    def machine(
        self, name: str, p: Mapping[str, float], end_s: float, lag_s: float, incident: bool
    ) -> None:
        """Note the last window of a machine: probabilities by phase, when it ended, and its lag."""
        for phase, probability in p.items():
            self._probability.labels(name, phase).set(probability)
        self._predicted_at.labels(name).set(end_s)
        self._incident_open.labels(name).set(incident)
        self._lag.observe(max(lag_s, 0.0))

    def incident_opened(self, name: str) -> None:
        """Count an incident that opened on a machine."""
        self._incidents.labels(name).inc()

    def window(self, latency_s: Mapping[str, float], skipped: int) -> None:
        """Count a predicted window: seconds by model key, and how many windows it skipped."""
        total_s = sum(latency_s.values())
        self.windows.inc()
        self.windows_skipped.inc(skipped)
        if self.deadline_s is not None and total_s > self.deadline_s:
            self.deadline_misses.inc()
        for key, seconds in latency_s.items():
            self._inference.labels(key).set(seconds)
        with self._lock:
            for key, seconds in latency_s.items():
                self._by_model.setdefault(key, deque(maxlen=RECENT)).append(seconds)
            self._in_all.append(total_s)
            self._times.append(time.monotonic())

    def value(self, name: str) -> int:
        """Return a counter or gauge by its name in /metrics without `phasewatch_`."""
        found = self.registry.get_sample_value(f"phasewatch_{name}")
        if found is None:
            raise KeyError(name)
        return int(found)

    def latencies(self) -> tuple[dict[str, list[float]], list[float]]:
        """Return the last seconds from a window to logits: by model key, and of all models."""
        with self._lock:
            by_model = {key: list(seconds) for key, seconds in self._by_model.items()}
            return by_model, list(self._in_all)

    def forget_latencies(self) -> None:
        """Drop the stored latencies; counters and gauges stay."""
        with self._lock:
            self._by_model.clear()
            self._in_all.clear()

    @property
    def windows_per_s(self) -> float:
        """The rate of the last windows; 0 before there are two."""
        with self._lock:
            times = list(self._times)
        span = times[-1] - times[0] if times else 0.0
        return (len(times) - 1) / span if span > 0 else 0.0
