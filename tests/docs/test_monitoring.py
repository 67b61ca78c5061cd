"""The files for Prometheus and Grafana name series that exist, and Prometheus takes them."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.paths import ROOT
from tests.served import serving

from phasewatch.serve.access import Access
from phasewatch.serve.counters import Counters
from phasewatch.serve.events import ProducerContext

FOLDER = ROOT / "docs" / "monitoring"
RULES, DASHBOARD = FOLDER / "alerts.yml", FOLDER / "grafana-dashboard.json"


def series() -> set[str]:
    """Every name of a series that `/metrics` may have."""
    return {
        sample
        for metric in Counters().registry.collect()
        for sample in _names(metric.name, metric.type)
    }


def _names(name: str, kind: str) -> list[str]:
    if kind == "counter":
        return [f"{name}_total"]
    endings = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
    return [f"{name}{ending}" for ending in endings]


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    of_panels = [target["expr"] for panel in panels for target in panel["targets"]]
    return of_panels + re.findall(r"expr: (.*)", RULES.read_text(encoding="utf-8"))


def test_every_expression_names_series_that_the_server_has() -> None:
    named = {name for one in expressions() for name in re.findall(r"phasewatch_\w+", one)}
    assert len(named) >= 6 and named <= series()


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_prometheus_scrapes_the_server_and_raises_an_alert(tmp_path: Path) -> None:
    if not (prometheus := shutil.which("prometheus")):
        pytest.skip("needs Debian's prometheus")
    with serving(ProducerContext(None, None), Access()) as one:
        one.runtime.context.counters.machine("01-pc", {"impact": 0.9}, time.time(), 0.4, True)
        one.runtime.context.counters.incident_opened("01-pc")
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {
                    "job_name": "phasewatch",
                    "static_configs": [{"targets": [f"127.0.0.1:{one.port}"]}],
                }
            ],
        }
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            prometheus,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            alert = _firing(port, "PhasewatchIncidentOpen")
            assert alert["labels"]["machine"] == "01-pc"
            assert _query(port, "sum(phasewatch_incident_open)") == "1"
        finally:
            server.terminate()
            server.wait(20)


def _get(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=5) as answer:
        return json.load(answer)["data"]


def _firing(port: int, name: str) -> Any:
    """Wait until an alert fires and return it."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            alerts = _get(port, "alerts")["alerts"]
        except OSError:
            alerts = []
        for one in alerts:
            if one["labels"]["alertname"] == name and one["state"] == "firing":
                return one
        time.sleep(0.5)
    raise AssertionError(f"{name} never fired")


def _query(port: int, expression: str) -> str:
    (found,) = _get(port, f"query?query={expression}")["result"]
    return str(found["value"][1])
