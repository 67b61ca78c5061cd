"""What a watch counts, for Prometheus, on a port of this machine."""

from threading import Thread
from wsgiref.simple_server import WSGIServer

from phasewatch.attach.watch.watched import Event, Gap
from phasewatch.errors import Refused
from phasewatch.live.watcher import Prediction

HERE = "127.0.0.1"


class Metrics:
    """Counters and gauges of the machines of a watch; the names are those of `phasewatch serve`.

    Raises Refused without prometheus-client.
    """

    def __init__(self) -> None:
        try:
            from prometheus_client import (
                CollectorRegistry,
                Counter,
                Gauge,
                disable_created_metrics,
            )
        except ImportError as error:
            raise Refused(
                "--metrics",
                "needs prometheus-client, which is not installed",
                "the library of the extra metrics",
                "Install it with `pip install 'phasewatch[metrics]'`.",
                code="library",
            ) from error
        # A series of creation times beside each counter is noise.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            names = ("machine", *labels)
            return Counter(f"phasewatch_{name}", meaning, names, registry=self.registry)

        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            names = ("machine", *labels)
            return Gauge(f"phasewatch_{name}", meaning, names, registry=self.registry)

        self._readings = counter("readings", "Readings of a source.", "source")
        self._gaps = counter("gaps", "Times at which windows began anew.")
        self._missing = gauge("channels_missing", "Channels that are not measured now.")
        self._probability = gauge("phase_probability", "Of each phase, now.", "phase")
        self._open = gauge("incident_open", "1 while an incident is open.")
        self._incidents = counter("incidents", "Incidents opened.")
        self._predicted_at = gauge(
            "prediction_time_seconds", "Unix time at which the last predicted window ended."
        )
        self._last: dict[str, int] = {}
        self._serving: tuple[WSGIServer, Thread] | None = None

    def serve(self, port: int) -> int:
        """Serve them under /metrics until `close`; return the port.

        Raises Refused for a port that cannot be had.
        """
        from prometheus_client import start_http_server

        try:
            server, thread = start_http_server(port, HERE, self.registry)
        except OSError as error:
            remedy = "Choose another with --metrics."
            reason = error.strerror or str(error)
            raise Refused(f"{HERE}:{port}", reason, "a free port", remedy) from error
        self._serving = server, thread
        return server.server_port

    def close(self) -> None:
        """End the server, if there is one."""
        if self._serving is not None:
            server, thread = self._serving
            server.shutdown()
            server.server_close()
            thread.join()

    def read(self, event: Event, missing: int) -> None:
        """Count an event of a machine of which `missing` channels are not measured."""
        self._missing.labels(event.machine).set(missing)
        if isinstance(event, Gap):
            self._gaps.labels(event.machine).inc()
        else:
            self._readings.labels(event.machine, event.source).inc()

    def predicted(self, one: Prediction) -> None:
        """Note the last window of a machine, and count the incident that it opens."""
        for phase, probability in one.probability.items():
            self._probability.labels(one.machine, phase).set(probability)
        self._predicted_at.labels(one.machine).set(one.end_ns / 1e9)
        self._open.labels(one.machine).set(one.incident is not None)
        if one.incident is not None and self._last.get(one.machine) != one.incident.opened_ns:
            self._last[one.machine] = one.incident.opened_ns
            self._incidents.labels(one.machine).inc()
