"""Answers of monitoring systems become rows with a time, and what is measured."""

from phasewatch.adapters.reading import shapes


def test_a_dotted_target_of_graphite_is_divided() -> None:
    series = {"target": "servers.web1.load", "tags": {"name": "servers.web1.load"},
              "datapoints": [[1.5, 60], [None, 120]]}  # fmt: skip
    parts = {"part_0": "servers", "part_1": "web1", "part_2": "load"}
    assert list(shapes.rows([series])) == [
        {"time": 60, "value": 1.5} | parts, {"time": 120, "value": None} | parts,
    ]  # fmt: skip
    tagged = {"target": "load;host=web1", "tags": {"name": "load", "host": "web1"},
              "datapoints": [[1.5, 60]]}  # fmt: skip
    assert list(shapes.rows(tagged)) == [{"time": 60, "value": 1.5, "name": "load", "host": "web1"}]
    summed = {"target": "sumSeries(a.b)", "datapoints": [[2, 60]]}
    assert list(shapes.rows(summed)) == [{"time": 60, "value": 2, "name": "sumSeries(a.b)"}]


def test_answers_of_cloudwatch_are_a_row_a_value() -> None:
    data = {"Id": "m", "Label": "CPU", "Timestamps": ["b", "a"], "Values": [2, 1]}
    assert list(shapes.rows({"MetricDataResults": [data]})) == [
        {"time": "b", "name": "CPU", "value": 2}, {"time": "a", "name": "CPU", "value": 1},
    ]  # fmt: skip
    point = {"Timestamp": "a", "Average": 1.5, "Unit": "Percent"}
    assert list(shapes.rows({"Label": "CPU", "Datapoints": [point]})) == [
        {"time": "a", "name": "CPU.Average", "value": 1.5}
    ]


def test_an_export_of_rrdtool_has_its_times_in_its_head() -> None:
    meta = {"start": 600, "step": 300, "end": 1200, "legend": ["in", "out"]}
    assert list(shapes.rows({"meta": meta, "data": [[1, 2], [3, None]]})) == [
        {"time": 600, "in": 1, "out": 2}, {"time": 900, "in": 3, "out": None},
    ]  # fmt: skip


def test_statistics_of_sysstat_are_a_row_a_time() -> None:
    stamp = {"date": "2026-09-21", "time": "10:00:00", "utc": 1, "interval": 10}
    device = {"iface": "eth0", "rxkB": 2.0}
    found = {"timestamp": stamp, "cpu-load": [{"cpu": "all", "user": 1.5}],
             "network": {"net-dev": [device]}, "queue": {"runq-sz": 1}}  # fmt: skip
    host = {"nodename": "web1", "statistics": [found, {}], "restarts": []}
    (row,) = shapes.rows({"sysstat": {"hosts": [host]}})
    assert dict(shapes.flat(row)) == {
        "time": "2026-09-21T10:00:00Z", "hostname": "web1", "cpu-load.all.user": "1.5",
        "network.net-dev.eth0.rxkB": "2.0", "queue.runq-sz": "1",
    }  # fmt: skip
    local = stamp | {"utc": 0}
    host["statistics"] = [found | {"timestamp": local}]
    assert next(iter(shapes.rows({"sysstat": {"hosts": [host]}})))["time"] == "2026-09-21T10:00:00"


def test_hits_of_elasticsearch_are_their_documents() -> None:
    found = {"_index": "m", "_id": "1", "_score": 1.0, "_source": {"host": {"name": "web1"}}}
    assert list(shapes.rows([found])) == [{"host": {"name": "web1"}}]
