"""Figures of this machine are in their ranges; what it has not got is null."""

from pathlib import Path

import psutil
import pytest

from phasewatch.serve.counters import Counters
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.producers import perf


def measured(counters: Counters | None = None) -> perf.Perf:
    context = ProducerContext(None, None, counters=counters or Counters())
    return perf.Producer(context, lambda event: None).measure(psutil.Process(), 1.0)


def test_ratios_are_between_zero_and_one() -> None:
    event = measured()
    assert 0 <= event.cpu_ratio <= 1 and all(0 <= one <= 1 for one in event.cores_ratio)
    assert 0 < event.mem_available_bytes <= event.mem_total_bytes
    assert event.models == [] and event.window is None
    assert (event.windows_per_s, event.deadline_s) == (0.0, None)


def test_latencies_are_those_counted() -> None:
    counters = Counters()
    for seconds in [0.001] * 99 + [0.5]:
        counters.window({"gbt.realistic": seconds, "gbt.oracle": 0.25}, 0)
    event = measured(counters)
    realistic, oracle = event.models
    assert (realistic.key, realistic.count, realistic.p50_s) == ("gbt.realistic", 100, 0.001)
    assert (realistic.max_s, oracle.max_s) == (0.5, 0.25)
    assert event.window is not None and event.window.key == "all"
    assert (event.window.p50_s, event.window.max_s) == (0.251, 0.75)


def test_totals_are_those_counted() -> None:
    counters = Counters()
    counters.deadline_s = 0.5
    counters.window({"gbt.realistic": 0.75}, 4)
    counters.samples_late.inc(3)
    counters.events_dropped.inc(6)
    counters.viewers_cut.inc(2)
    counters.viewers.set(7)
    counters.queue_depth.set(9)
    event = measured(counters)
    assert (event.deadline_s, event.deadline_misses_total) == (0.5, 1)
    assert (event.windows_skipped_total, event.samples_late_total) == (4, 3)
    assert (event.events_dropped_total, event.viewers_cut_total) == (6, 2)
    assert (event.viewers, event.queue_depth) == (7, 9)


def test_a_board_without_a_sensor_reports_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perf, "THERMAL", tmp_path / "temp")
    monkeypatch.setattr(perf, "THROTTLED", tmp_path / "throttled")
    assert measured().soc_celsius is None and measured().throttled is None
    (tmp_path / "temp").write_text("54321\n")
    (tmp_path / "throttled").write_text("0x50000\n")
    event = measured()
    assert event.soc_celsius == 54.321
    assert event.throttled == perf.Throttled(now=False, ever=True)
