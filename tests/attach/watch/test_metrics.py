"""Prometheus reads what a watch counts, under the names that `serve` has."""

import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from phasewatch.attach.watch.metrics import Metrics
from phasewatch.attach.watch.watched import Gap, Reading
from phasewatch.errors import Refused
from phasewatch.live.incident_log import IncidentSpan
from phasewatch.live.watcher import Prediction
from phasewatch.serve.counters import Counters


def span(opened_ns: int, last_ns: int) -> IncidentSpan:
    return IncidentSpan(opened_ns, last_ns, True, 0.9, 1, ("impact",), "impact")


def fed() -> Metrics:
    metrics = Metrics()
    for t in (1, 2, 3):
        metrics.read(Reading("web", "cpu", ("cpu.user",), t, t, [1.0]), 4)
    metrics.read(Gap("web", 4, "away"), 5)
    for end, incident in ((10, None), (15, span(15, 15)), (20, span(15, 20)), (60, span(60, 60))):
        p = {"benign": 0.25, "impact": 0.75}
        metrics.predicted(Prediction(end * 10**9, "impact", p, [], incident, "web"))
    return metrics


def test_what_was_read_and_predicted_is_served_on_this_machine() -> None:
    metrics = fed()
    port = metrics.serve(0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
        text = response.read().decode()
    for line in (
        'phasewatch_readings_total{machine="web",source="cpu"} 3.0',
        'phasewatch_gaps_total{machine="web"} 1.0',
        'phasewatch_channels_missing{machine="web"} 5.0',
        'phasewatch_phase_probability{machine="web",phase="impact"} 0.75',
        'phasewatch_incident_open{machine="web"} 1.0',
        'phasewatch_incidents_total{machine="web"} 2.0',
        'phasewatch_prediction_time_seconds{machine="web"} 60.0',
    ):
        assert line in text.splitlines()
    with pytest.raises(Refused, match="expected a free port"):
        Metrics().serve(port)
    metrics.close()


def test_names_and_meanings_are_those_of_serve() -> None:
    """The alert rules and the dashboard of docs/monitoring fit both."""
    described = re.compile(rb"# HELP (phasewatch_\w+) (.*)")
    here = dict(described.findall(generate_latest(fed().registry)))
    there = dict(described.findall(generate_latest(Counters().registry)))
    common = here.keys() & there.keys()
    assert len(common) == 4
    assert {name: here[name] for name in common} == {name: there[name] for name in common}


def test_without_the_library_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    absent: Any = None
    monkeypatch.setitem(sys.modules, "prometheus_client", absent)
    with pytest.raises(Refused, match=r"needs prometheus-client.*phasewatch\[metrics\]"):
        Metrics()


def test_a_watch_without_metrics_does_not_need_the_library() -> None:
    text = Path(sys.modules[Metrics.__module__].__file__ or "").read_text()
    assert not re.search(r"^(from|import) prometheus", text, re.MULTILINE)
