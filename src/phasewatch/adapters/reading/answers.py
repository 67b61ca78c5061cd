"""Answers of monitoring systems whose values have no row of their own: one row a value or a time.

Graphite's render, CloudWatch's get-metric-data and get-metric-statistics, Elasticsearch's hits,
rrdtool's xport, and sysstat's `sadf -j`. Each is told by the names of its fields.
"""

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
Row = dict[str, Any]


def _lists(value: Object, *names: str) -> bool:
    """Return whether fields of an object are all lists."""
    return all(isinstance(value.get(name), list) for name in names)


# ---------------------------------------------------------------- Graphite


def is_graphite(value: Object) -> bool:
    """Return whether an object is a series of Graphite: a target, and pairs of value and time."""
    return isinstance(value.get("target"), str) and _lists(value, "datapoints")


def graphite(value: Object) -> Iterator[Row]:
    """Yield a row for each value of a series: time in s, value, and what the target says.

    Of tagged series that is their name and their tags. The parts of a dotted target are `part_0`,
    `part_1` and so on, as one of them may name the machine; another target is a name.
    """
    target, tags = value["target"], dict(value.get("tags") or {})
    named = {"name": tags.pop("name", target)}
    if not tags and "." in target and not set("(); ") & set(target):
        named = {f"part_{place}": part for place, part in enumerate(target.split("."))}
    for number, time in value["datapoints"]:
        yield {"time": time, "value": number} | named | tags


# ---------------------------------------------------------------- CloudWatch


def is_metric_data(value: Object) -> bool:
    """Return whether an object is an answer of CloudWatch to get-metric-data."""
    return _lists(value, "MetricDataResults")


def metric_data(value: Object) -> Iterator[Row]:
    """Yield a row for each value of an answer: time, name and value."""
    for series in value["MetricDataResults"]:
        for time, number in zip(series["Timestamps"], series["Values"], strict=True):
            yield {"time": time, "name": series.get("Label", series.get("Id")), "value": number}


def is_metric_statistics(value: Object) -> bool:
    """Return whether an object is an answer of CloudWatch to get-metric-statistics."""
    return isinstance(value.get("Label"), str) and _lists(value, "Datapoints")


def metric_statistics(value: Object) -> Iterator[Row]:
    """Yield a row for each statistic of each time: time, name such as CPUUtilization.Average."""
    for point in value["Datapoints"]:
        for name, number in point.items():
            if isinstance(number, int | float):
                name = f"{value['Label']}.{name}"
                yield {"time": point["Timestamp"], "name": name, "value": number}


# ---------------------------------------------------------------- Elasticsearch


def is_hit(value: Object) -> bool:
    """Return whether an object is a document of Elasticsearch, as a search answers it."""
    return isinstance(value.get("_source"), dict) and "_index" in value


def hit(value: Object) -> Iterator[Row]:
    """Yield the document itself."""
    yield value["_source"]


# ---------------------------------------------------------------- rrdtool


def is_xport(value: Object) -> bool:
    """Return whether an object is an export of rrdtool: rows at even times, named by a legend."""
    meta = value.get("meta")
    return isinstance(meta, dict) and {"start", "step", "legend"} <= set(meta) and (
        _lists(value, "data")
    )  # fmt: skip


def xport(value: Object) -> Iterator[Row]:
    """Yield the rows of an export, each with its time in s."""
    meta = value["meta"]
    for number, cells in enumerate(value["data"]):
        row = dict(zip(meta["legend"], cells, strict=True))
        yield {"time": meta["start"] + number * meta["step"]} | row


# ---------------------------------------------------------------- sysstat


def is_sadf(value: Object) -> bool:
    """Return whether an object is what `sadf -j` writes."""
    return isinstance(value.get("sysstat"), dict) and _lists(value["sysstat"], "hosts")


def sadf(value: Object) -> Iterator[Row]:
    """Yield a row for each time of each host: time, hostname, and all values by their path.

    Of a CPU, a disk or an interface, the name is a part of the path: `cpu-load.all.user`.
    """
    for host in value["sysstat"]["hosts"]:
        for found in host["statistics"]:
            if "timestamp" in found:
                fixed = {"time": _date(found["timestamp"]), "hostname": host["nodename"]}
                yield fixed | {k: _named(v) for k, v in found.items() if k != "timestamp"}


def _date(stamp: Object) -> str:
    """Return the date of a time of sysstat, with its zone where that is UTC."""
    utc = stamp.get("utc") == 1 or stamp.get("tz") in ("UTC", "GMT")
    return f"{stamp['date']}T{stamp['time']}{'Z' if utc else ''}"


def _named(value: Any) -> Any:
    """Return values with a list of devices as an object by the name of each, its first text."""
    if isinstance(value, dict):
        return {name: _named(one) for name, one in value.items()}
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return dict(map(_device, value))
    return value


def _device(value: Object) -> tuple[str, Object]:
    """Return the name of a device, its first text, and its values."""
    name = next((key for key, one in value.items() if isinstance(one, str)), "")
    return str(value.get(name, "")), {key: one for key, one in value.items() if key != name}
