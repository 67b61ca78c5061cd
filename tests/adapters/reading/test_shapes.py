"""Objects of monitoring tools become one row a value; what only looks like them stays a row."""

import pytest

from phasewatch.adapters.reading import shapes


def test_an_answer_of_prometheus_is_a_row_a_value() -> None:
    metric = {"__name__": "cpu", "instance": "web1", "mode": "user"}
    series = [{"metric": metric, "values": [[1, "2.5"], [16, "3"]]}]
    answer = {"status": "success", "data": {"resultType": "matrix", "result": series}}
    expected = [
        {"time": 1, "name": "cpu", "value": "2.5", "instance": "web1", "mode": "user"},
        {"time": 16, "name": "cpu", "value": "3", "instance": "web1", "mode": "user"},
    ]
    assert list(shapes.rows(answer)) == expected
    export = {"metric": metric, "values": [2.5], "timestamps": [1500]}
    assert list(shapes.rows(export)) == [expected[0] | {"time": "1.500", "value": 2.5}]
    vector = {"resultType": "vector", "result": [{"metric": metric, "value": [1, "2.5"]}]}
    assert list(shapes.rows({"data": vector})) == expected[:1]


def test_metrics_of_opentelemetry_name_their_kind() -> None:
    def metric(name: str, body: dict[str, object]) -> dict[str, object]:
        return {"name": name, "unit": "s", **body}

    point = {"timeUnixNano": "5", "asDouble": 1.5,
             "attributes": [{"key": "cpu", "value": {"stringValue": "0"}}]}  # fmt: skip
    metrics = [
        metric("total", {"sum": {"dataPoints": [point], "isMonotonic": True}}),
        metric("delta", {"sum": {"dataPoints": [point], "isMonotonic": True,
                                 "aggregationTemporality": 1}}),
        metric("level", {"sum": {"dataPoints": [point]}}),
        metric("gauge", {"gauge": {"dataPoints": [{"timeUnixNano": "5", "asInt": "7"}]}}),
        metric("calls", {"histogram": {"dataPoints": [
            {"timeUnixNano": "5", "count": "3", "sum": 9}
        ]}}),
    ]  # fmt: skip
    resource = {"attributes": [{"key": "host.name", "value": {"stringValue": "web1"}}]}
    scopes = [{"metrics": metrics}]
    found = list(shapes.rows({"resourceMetrics": [{"resource": resource, "scopeMetrics": scopes}]}))
    assert [(row["name"], row["kind"], row["value"]) for row in found] == [
        ("total", "counter", 1.5), ("delta", "delta", 1.5), ("level", "gauge", 1.5),
        ("gauge", "gauge", "7"), ("calls.count", "counter", "3"), ("calls.sum", "counter", 9),
    ]  # fmt: skip
    assert found[0]["host.name"] == "web1" and found[0]["cpu"] == "0" and found[0]["time"] == "5"


@pytest.mark.parametrize(
    "value",
    [
        {"labels": ["time", "cpu"], "data": [[1, 2], [3, 4]]},
        {"columns": ["time", "cpu"], "values": [[1, 2], [3, 4]]},
        [{"time": 1, "cpu": 2}, {"time": 3, "cpu": 4}],
        {"time": [1, 3], "cpu": [2, 4]},
        {"metrics": [{"time": 1, "cpu": 2}, {"time": 3, "cpu": 4}]},
        {"time": {"0": 1, "1": 3}, "cpu": {"0": 2, "1": 4}},
        {"results": [{"series": [{"columns": ["time", "cpu"], "values": [[1, 2], [3, 4]]}]}]},
    ],
)
def test_tables_in_objects_are_rows(value: object) -> None:
    found = [{name: row[name] for name in ("time", "cpu")} for row in shapes.rows(value)]
    assert found == [{"time": 1, "cpu": 2}, {"time": 3, "cpu": 4}]


def test_an_event_with_lists_in_it_is_one_row() -> None:
    event = {"time": 1, "args": [{"name": "p", "value": "/bin/sh"}], "data": "x", "labels": ["a"]}
    assert list(shapes.rows(event)) == [event]


def test_a_list_is_found_by_its_path_or_alone() -> None:
    rows = [{"t": 1}]
    assert list(shapes.listed({"a": {"b": rows}, "c": rows}, "a.b") or ()) == rows
    assert shapes.listed({"a": rows, "b": rows}, "") is None
    assert list(shapes.listed({"total": 1, "data": rows}, "") or ()) == rows
    assert shapes.listed({"a": rows}, "a.b") is None


def test_objects_by_name_are_rows_with_that_name() -> None:
    row = {"cpu": 1}
    assert list(shapes.keyed({"a": row, "b": row}) or ()) == [
        {"key": "a"} | row, {"key": "b"} | row,
    ]  # fmt: skip
    assert list(shapes.keyed({"a": [row, row]} | {"b": [row]}) or ()) == [
        {"key": "a"} | row, {"key": "a"} | row, {"key": "b"} | row,
    ]  # fmt: skip
    for other in ({"a": row}, {"a": row, "b": {"x": 1}}, {"a": row, "b": 1}):
        assert shapes.keyed(other) is None
