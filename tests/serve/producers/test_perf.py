"""Figures of this machine are in their ranges; what it has not got is null."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from phasewatch.serve.events import ProducerContext
from phasewatch.serve.producers import perf


def measured(counted: dict[str, Any]) -> perf.Perf:
    given = ProducerContext(None, None, (), counted)
    return perf.Producer(given, lambda event: None)._measure(psutil.Process(), 1.0)


def test_ratios_are_ratios() -> None:
    told = measured({})
    assert 0 <= told.cpu_ratio <= 1 and all(0 <= one <= 1 for one in told.cores_ratio)
    assert 0 < told.mem_available_bytes <= told.mem_total_bytes
    assert told.models == [] and told.window is None


def test_latencies_are_those_counted() -> None:
    told = measured({"latency_s": {"gbt.realistic": [0.001] * 99 + [0.5]}, "window_s": [0.2]})
    (model,) = told.models
    assert (model.count, model.p50_s, model.max_s) == (100, 0.001, 0.5)
    assert told.window is not None and told.window.max_s == 0.2


def test_a_board_without_a_sensor_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perf, "THERMAL", tmp_path / "temp")
    monkeypatch.setattr(perf, "THROTTLED", tmp_path / "throttled")
    assert measured({}).soc_celsius is None and measured({}).throttled is None
    (tmp_path / "temp").write_text("54321\n")
    (tmp_path / "throttled").write_text("0x50000\n")
    told = measured({})
    assert told.soc_celsius == 54.321
    assert told.throttled == perf.Throttled(now=False, ever=True)
