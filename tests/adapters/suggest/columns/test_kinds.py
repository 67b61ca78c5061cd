"""Levels, totals, and the question where neither name nor values decide."""

import numpy as np
import pytest

from phasewatch.adapters.suggest.columns import kinds

RISING = [np.arange(40.0) * 3 + 5]


@pytest.mark.parametrize(
    ("name", "kind"), [("bytes_total", "counter"), ("mem_used", "gauge"), ("thing", "?")]
)
def test_what_only_rises_is_told_by_its_name(name: str, kind: str) -> None:
    assert kinds.kind(name, RISING) == kind


def test_what_falls_is_a_level_whatever_its_name() -> None:
    assert kinds.kind("requests_total", [np.tile([5.0, 3.0, 4.0], 20)]) == "gauge"


def test_a_total_may_be_reset_and_starts_anew_on_each_machine() -> None:
    reset = np.concatenate([np.arange(100.0) * 10, np.arange(100.0) * 10])
    assert kinds.kind("rx_bytes", [reset]) == "counter"
    machines = [np.arange(40.0) + 1e6, np.arange(40.0) + 1e3]
    assert kinds.kind("rx_bytes", machines) == "counter"
    assert kinds.kind("rx_bytes", [np.ravel(machines, order="F")]) == "gauge"


def test_missing_values_do_not_matter() -> None:
    values = np.arange(40.0)
    values[7] = np.nan
    assert kinds.kind("ctx_total", [values]) == "counter"
    assert kinds.kind("x", [np.full(3, np.nan)]) == "gauge"


def test_running_totals_among_events() -> None:
    assert kinds.cumulative(RISING)
    assert not kinds.cumulative([np.tile([5.0, 3.0, 4.0], 20)])
