"""Objects of monitoring tools that hold many values, as one row a value or one row a time.

Each shape is told by the names of its fields: answers of Prometheus, exports of VictoriaMetrics,
metrics of OpenTelemetry, answers of InfluxDB and of others (answers.py), and lists of rows under
one name. What has no such shape is a row itself.
"""

from collections.abc import Callable, Iterator
from typing import Any

from phasewatch.adapters.reading import answers

Object = dict[str, Any]
Row = dict[str, Any]


def flat(row: Object, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields of an object, with those of inner objects, and their text."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            yield before + name, "" if value is None else str(value)


def _objects(value: object) -> bool:
    """Return whether a value is a list of objects, and not empty."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


# ---------------------------------------------------------------- Prometheus and VictoriaMetrics


def is_prometheus(value: Object) -> bool:
    """Return whether an object is an answer of Prometheus to a query."""
    data = value.get("data")
    return isinstance(data, dict) and "resultType" in data and isinstance(data.get("result"), list)


def prometheus(value: Object) -> Iterator[Row]:
    """Yield a row for each value of an answer: time in s, name, value, and the labels."""
    for series in value["data"]["result"]:
        pairs = series.get("values") or [series.get("value", [None, None])]
        for time, number in pairs:
            yield _series_row(series.get("metric", {}), time, number)


def is_export(value: Object) -> bool:
    """Return whether an object is a line of an export of VictoriaMetrics."""
    return isinstance(value.get("metric"), dict) and {"values", "timestamps"} <= set(value)


def export(value: Object) -> Iterator[Row]:
    """Yield a row for each value of an export, whose times are in ms: time in s, as Prometheus."""
    for time, number in zip(value["timestamps"], value["values"], strict=True):
        yield _series_row(value["metric"], f"{time // 1000}.{time % 1000:03}", number)


def _series_row(metric: Object, time: object, number: object) -> Row:
    """Return the row of one value of a series."""
    labels = {name: text for name, text in metric.items() if name != "__name__"}
    return {"time": time, "name": metric.get("__name__", ""), "value": number} | labels


# ---------------------------------------------------------------- OpenTelemetry


def is_otlp(value: Object) -> bool:
    """Return whether an object holds metrics of OpenTelemetry."""
    return isinstance(value.get("resourceMetrics"), list)


def otlp(value: Object) -> Iterator[Row]:
    """Yield a row for each data point: time in ns, name, value, kind, unit, and the attributes."""
    for resource in value["resourceMetrics"]:
        ours = _attributes(resource.get("resource", {}))
        for scope in resource.get("scopeMetrics", ()):
            for metric in scope.get("metrics", ()):
                yield from _points(metric, ours)


def _points(metric: Object, resource: Row) -> Iterator[Row]:
    """Yield the points of a metric: sums and gauges whole, histograms by their count and sum."""
    for kind in ("sum", "gauge", "histogram", "exponentialHistogram", "summary"):
        body = metric.get(kind) or {}
        for point in body.get("dataPoints", ()):
            row = resource | _attributes(point) | {
                "time": point.get("timeUnixNano"), "name": metric.get("name", ""),
                "kind": _kind(kind, body), "unit": metric.get("unit", ""),
            }  # fmt: skip
            if kind in ("sum", "gauge"):
                number = point.get("asDouble", point.get("asInt"))
                yield row | {"value": number}
            else:
                for part in ("count", "sum"):
                    if part in point:
                        name = f"{row['name']}.{part}"
                        yield row | {"name": name, "value": point[part]}


def _kind(kind: str, body: Object) -> str:
    """Return what values of a metric are: a counter, a count since the point before, a gauge."""
    if kind == "gauge" or (kind == "sum" and not body.get("isMonotonic")):
        return "gauge"
    delta = body.get("aggregationTemporality") in (1, "AGGREGATION_TEMPORALITY_DELTA")
    return "delta" if delta else "counter"


def _attributes(holder: Object) -> Row:
    """Return the attributes of a resource or a point, by name."""
    found = {}
    for one in holder.get("attributes", ()):
        value = one.get("value", {})
        found[one.get("key", "")] = next(iter(value.values()), "") if value else ""
    return found


# ---------------------------------------------------------------- InfluxDB, tables in objects


def is_influx(value: Object) -> bool:
    """Return whether an object is an answer of InfluxDB 1."""
    return _objects(value.get("results")) and any("series" in one for one in value["results"])


def influx(value: Object) -> Iterator[Row]:
    """Yield a row for each row of each series of an answer, with its name and its tags."""
    for result in value["results"]:
        for series in result.get("series", ()):
            fixed = {"name": series.get("name", "")} | series.get("tags", {})
            for cells in series.get("values", ()):
                yield fixed | dict(zip(series["columns"], cells, strict=True))


NAMES, TABLES = ("labels", "columns", "fields", "header"), ("data", "values", "rows")


def is_columns(value: Object) -> bool:
    """Return whether an object is a table: a list of names, and a list of lists of values."""
    return bool(_columns(value))


def _columns(value: Object) -> tuple[str, str] | None:
    """Return which fields hold the names and the rows of a table."""
    for names in NAMES:
        for rows in TABLES:
            listed, cells = value.get(names), value.get(rows)
            if (
                isinstance(listed, list) and listed and all(isinstance(one, str) for one in listed)
                and isinstance(cells, list) and cells
                and all(isinstance(one, list) and len(one) == len(listed) for one in cells)
            ):  # fmt: skip
                return names, rows
    return None


def columns(value: Object) -> Iterator[Row]:
    """Yield the rows of a table in an object."""
    found = _columns(value)
    assert found is not None
    for cells in value[found[1]]:
        yield dict(zip(value[found[0]], cells, strict=True))


def is_lists(value: Object) -> bool:
    """Return whether an object is a table by columns: lists of values, all of one length."""
    lists = list(value.values())
    return (
        len(lists) > 1
        and all(isinstance(one, list) and len(one) == len(lists[0]) > 1 for one in lists)
        and not any(isinstance(cell, list | dict) for one in lists for cell in one)
    )


def lists(value: Object) -> Iterator[Row]:
    """Yield the rows of a table by columns."""
    for cells in zip(*value.values(), strict=True):
        yield dict(zip(value, cells, strict=True))


def is_indexed(value: Object) -> bool:
    """Return whether an object is a table as pandas writes it: in each column, values by index."""
    columns = list(value.values())
    return (
        len(columns) > 1
        and all(isinstance(one, dict) and len(one) > 1 for one in columns)
        and all(set(one) == set(columns[0]) for one in columns)
        and all(key.isdigit() for key in columns[0])
    )


def indexed(value: Object) -> Iterator[Row]:
    """Yield the rows of a table of pandas."""
    for key in next(iter(value.values())):
        yield {name: column[key] for name, column in value.items()}


def is_batch(value: Object) -> bool:
    """Return whether an object is nothing but a list of objects under one name."""
    return len(value) == 1 and _objects(next(iter(value.values())))


def batch(value: Object) -> Iterator[Row]:
    """Yield the objects of a list under one name, such as "metrics" of Telegraf."""
    yield from next(iter(value.values()))


SHAPES: tuple[tuple[str, Callable[[Object], bool], Callable[[Object], Iterator[Row]]], ...] = (
    ("prometheus", is_prometheus, prometheus),
    ("prometheus", is_export, export),
    ("otlp", is_otlp, otlp),
    ("influx", is_influx, influx),
    ("graphite", answers.is_graphite, answers.graphite),
    ("cloudwatch", answers.is_metric_data, answers.metric_data),
    ("cloudwatch", answers.is_metric_statistics, answers.metric_statistics),
    ("json", answers.is_hit, answers.hit),
    ("rrdtool", answers.is_xport, answers.xport),
    ("sadf", answers.is_sadf, answers.sadf),
    ("json", is_columns, columns),
    ("json", is_lists, lists),
    ("json", is_indexed, indexed),
    ("jsonl", is_batch, batch),
)
"""The shapes: what a format is called, how it is told, and its rows."""


def shape_of(value: object) -> str:
    """Return the name of the shape of an object, "" for a row."""
    if not isinstance(value, dict):
        return ""
    return next((name for name, told, _ in SHAPES if told(value)), "")


def keyed(value: Object) -> Iterator[Row] | None:
    """Yield the rows of a document of objects, or lists of objects, by name; None for another.

    Each has the same fields. The name, such as a time or a machine, becomes the field `key`.
    """
    lists = [one if isinstance(one, list) else [one] for one in value.values()]
    rows = [row for one in lists for row in one[:1]]
    if len(rows) < 2 or not _objects(rows) or len({frozenset(row) for row in rows}) > 1:
        return None
    pairs = zip(value, lists, strict=True)
    return ({"key": key} | row for key, one in pairs for row in one)


def listed(value: Object, path: str) -> Iterator[Row] | None:
    """Yield the objects of the list at a dotted `path`, or of the only list; None where none is."""
    found: Any = value
    if path:
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return iter(found) if _objects(found) else None
    lists = [one for one in _inner(value) if _objects(one)]
    return iter(lists[0]) if len(lists) == 1 else None


def _inner(value: Object, depth: int = 3) -> Iterator[Any]:
    """Yield the values of an object and of the objects in it."""
    for one in value.values():
        if isinstance(one, dict) and depth:
            yield from _inner(one, depth - 1)
        else:
            yield one


def rows(value: object) -> Iterator[Row]:
    """Yield the rows that a JSON value holds. Raises ValueError where it is no object.

    Raises KeyError, TypeError or AttributeError where an object has not the shape that it shows.
    """
    if isinstance(value, list) and value:
        for one in value:
            yield from rows(one)
        return
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    for _, told, expand in SHAPES:
        if told(value):
            yield from expand(value)
            return
    yield value
