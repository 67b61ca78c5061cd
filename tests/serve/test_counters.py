"""Counters under many threads: nothing is lost, and values can be read meanwhile."""

import threading
from types import SimpleNamespace

import psutil
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from phasewatch.serve.counters import RECENT, Counters
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.producers import perf

NAMES = {
    "phasewatch_events": "counter",
    "phasewatch_events_dropped": "counter",
    "phasewatch_viewers_cut": "counter",
    "phasewatch_windows": "counter",
    "phasewatch_windows_skipped": "counter",
    "phasewatch_samples_late": "counter",
    "phasewatch_deadline_misses": "counter",
    "phasewatch_viewers": "gauge",
    "phasewatch_queue_depth": "gauge",
    "phasewatch_inference_seconds": "gauge",
}
"""What /metrics has published since the page exists; dashboards of others rely on it."""

OF_MACHINES = {
    "phasewatch_incident_open": "gauge",
    "phasewatch_incidents": "counter",
    "phasewatch_phase_probability": "gauge",
    "phasewatch_prediction_time_seconds": "gauge",
    "phasewatch_prediction_lag_seconds": "histogram",
}
"""What it publishes of machines and predictions, with labels; without one there is no sample."""


def test_metrics_keep_their_names_and_types() -> None:
    found = Counters()
    found.window({"gbt.realistic": 0.25}, 3)
    text = generate_latest(found.registry).decode()
    families = list(text_string_to_metric_families(text))
    assert {one.name: one.type for one in families} == {**NAMES, **OF_MACHINES}
    samples = {one.name: one.value for family in families for one in family.samples}
    assert {name for name in samples if not name.startswith(tuple(OF_MACHINES))} == {
        f"{name}_total" if kind == "counter" else name for name, kind in NAMES.items()
    }
    assert samples["phasewatch_windows_total"] == 1
    assert samples["phasewatch_windows_skipped_total"] == 3
    assert 'phasewatch_inference_seconds{model="gbt.realistic"} 0.25' in text


def test_servers_of_one_process_share_no_figure() -> None:
    one, other = Counters(), Counters()
    one.events.inc()
    assert (one.value("events_total"), other.value("events_total")) == (1, 0)


def test_an_unknown_counter_name_raises() -> None:
    with pytest.raises(KeyError):
        Counters().value("windows")


def test_a_miss_is_a_window_that_takes_longer_than_the_deadline() -> None:
    found = Counters()
    found.window({"a": 9.0}, 0)
    found.deadline_s = 5.0
    found.window({"a": 2.0, "b": 3.0}, 0)
    found.window({"a": 2.0, "b": 3.5}, 0)
    assert found.value("deadline_misses_total") == 1


def test_the_latest_latencies_are_stored_and_can_be_cleared() -> None:
    found = Counters()
    for number in range(RECENT + 5):
        found.window({"a": float(number), "b": 1.0}, 0)
    by_model, in_all = found.latencies()
    assert by_model["a"] == [float(number) for number in range(5, RECENT + 5)]
    assert in_all[-1] == RECENT + 5.0 and len(in_all) == RECENT
    found.forget_latencies()
    assert found.latencies() == ({}, []) and found.value("windows_total") == RECENT + 5


def test_the_rate_is_that_of_the_last_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    found, now = Counters(), [0.0]
    monkeypatch.setattr("phasewatch.serve.counters.time", SimpleNamespace(monotonic=lambda: now[0]))
    assert found.windows_per_s == 0.0
    for _ in range(40):
        found.window({}, 0)
        now[0] += 0.5
    assert found.windows_per_s == 2.0


def test_threads_lose_no_count_while_the_perf_producer_reads() -> None:
    """With figures in a dict, a reader met "dictionary changed size during iteration"."""
    context = ProducerContext(None, None)
    found, threads, each = context.counters, 4, 400
    producer, process = perf.Producer(context, lambda event: None), psutil.Process()
    begin, failures = threading.Barrier(threads + 1), list[Exception]()

    def count(number: int) -> None:
        begin.wait()
        for turn in range(each):
            # Each window has a new model, so that what is read grows all the time.
            found.window({f"model-{number}-{turn}": 0.001, "shared": 0.001}, 1)
            found.events.inc()
            found.viewers.set(number)

    def read() -> None:
        try:
            while any(one.is_alive() for one in writers):
                event = producer.measure(process, 0.0)
                assert event.windows_skipped_total <= threads * each
                generate_latest(found.registry)
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=count, args=(number,)) for number in range(threads)]
    for one in writers:
        one.start()
    reader = threading.Thread(target=read)
    reader.start()
    begin.wait()
    for one in (*writers, reader):
        one.join()
    assert failures == []
    assert found.value("windows_total") == threads * each
    assert found.value("windows_skipped_total") == threads * each
    assert found.value("events_total") == threads * each
    event = producer.measure(process, 0.0)
    assert event.windows_skipped_total == threads * each
    assert len(event.models) == threads * each + 1
    shared = next(one for one in event.models if one.key == "shared")
    assert (shared.count, shared.max_s) == (RECENT, 0.001)


def test_every_machine_has_its_gauges_and_incidents() -> None:
    counters = Counters()
    counters.machine("01-pc", {"benign": 0.2, "impact": 0.8}, 1.8e9, 0.4, True)
    counters.incident_opened("01-pc")
    get = counters.registry.get_sample_value
    labels = {"machine": "01-pc"}
    assert get("phasewatch_phase_probability", {**labels, "phase": "impact"}) == 0.8
    assert get("phasewatch_incident_open", labels) == 1
    assert get("phasewatch_incidents_total", labels) == 1
    assert get("phasewatch_prediction_time_seconds", labels) == 1.8e9
    assert get("phasewatch_prediction_lag_seconds_bucket", {"le": "0.5"}) == 1
    assert get("phasewatch_prediction_lag_seconds_bucket", {"le": "0.25"}) == 0
