"""Labels as intervals in a file of their own: the phase of each row by its time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from phasewatch.adapters.clock import Times
from phasewatch.adapters.mapping import Intervals
from phasewatch.adapters.reading import opening
from phasewatch.adapters.reading.source import Input
from phasewatch.adapters.reading.table import Table
from phasewatch.episode import Ints
from phasewatch.errors import Refused
from phasewatch.schema import NS, Schema

ANY = ""
"""The host of intervals that hold for every host."""

FOREVER_NS = 2**62


@dataclass
class Labels:
    """The intervals of each host: starts, ends and classes, sorted, and the lines they are from.

    `used` are the lines of intervals in which some row lies.
    """

    path: Path
    outside: int
    by_host: dict[str, tuple[Ints, Ints, Ints, Ints]]
    used: set[int] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    """The hosts of the rows whose phase was asked for."""

    def classes(self, t_ns: Ints, host: str) -> Ints:
        """Return the number of the class at each of some times of a host.

        An interval holds from its start on, its end is no part of it.
        """
        found = np.full(len(t_ns), self.outside, dtype=np.int64)
        self.hosts.add(host)
        for key in dict.fromkeys((ANY, host)):
            if key not in self.by_host:
                continue
            starts, ends, classes, lines = self.by_host[key]
            place = np.searchsorted(starts, t_ns, side="right") - 1
            inside = (place >= 0) & (t_ns < ends[np.maximum(place, 0)])
            found[inside] = classes[place[inside]]
            self.used.update(map(int, np.unique(lines[place[inside]])))
        return found

    def unused(self) -> list[int]:
        """Return the lines of intervals in which no row lies."""
        lines = {int(line) for _, _, _, found in self.by_host.values() for line in found}
        return sorted(lines - self.used)

    def notes(self) -> list[str]:
        """Return what a person should know of intervals in which no row lies."""
        lines = self.unused()
        if not lines:
            return []
        shown = ", ".join(map(str, lines[:6])) + (", …" if lines[6:] else "")
        absent = sorted(set(self.by_host) - self.hosts - {ANY})
        hosts = f"; no row has host {', '.join(absent[:6])}" if absent else ""
        count = len({line for _, _, _, found in self.by_host.values() for line in found})
        return [f"no row lies in {len(lines)} of {count} intervals (lines {shown}){hosts}"]

    def refuse_unfitting(self) -> None:
        """Raise Refused where no row lies in any interval, or hosts are written otherwise.

        One of the clocks is wrong, or the labels of a machine would be lost.
        """
        for host in sorted(set(self.by_host) - self.hosts - {ANY}):
            if other := resembling(host, self.hosts - set(self.by_host)):
                raise Refused(
                    self.path, f"has labels of host {host}, and the tables have {other}",
                    "hosts by the names that they have in the tables",
                    "Write them alike, or give [episode] host rules in the mapping.",
                    code="labels_outside",
                )  # fmt: skip
        if self.by_host and not self.used:
            raise Refused(
                self.path, "has no interval in which a row lies",
                "times on the clock of the tables, and hosts by their names",
                "Correct unit, format, zone or host under [phase] in the mapping.",
                code="labels_outside",
            )  # fmt: skip


def resembling(host: str, known: Iterable[str]) -> str:
    """Return a name that is the same but for its case and its domain, "" for none."""
    short = host.partition(".")[0].casefold()
    return next((one for one in sorted(known) if one.partition(".")[0].casefold() == short), "")


def read(given: Intervals, folder: Path, schema: Schema) -> Labels:
    """Return the labels of a file in the folder of the tables. Raises Refused, or OSError."""
    path = folder / given.file
    if not path.is_file():
        raise Refused(
            path, "is no file", "the file of labels, as a path relative to the tables",
            "Correct [phase] file in the mapping.",
        )  # fmt: skip
    table = opening.sample(Input(path, given.file))
    assert given.label.column is not None
    further = filter(None, (given.end, given.duration, given.host))
    wanted = [given.start, given.label.column, *further]
    if absent := [name for name in wanted if name not in table.columns]:
        raise Refused(
            path, f"has no column {', '.join(absent)}", f"some of {', '.join(table.columns)}",
            "Correct [phase] in the mapping.",
        )  # fmt: skip
    starts = _times(table, given.start, given)
    lines = np.array(table.lines, dtype=np.int64)
    classes = _classes(table, given, schema)
    named = [cell.strip() for cell in table.columns[given.host]] if given.host else None
    hosts = np.array(named or [ANY] * len(table), dtype=object)
    ends = _ends(table, starts, given)
    found = {}
    for host in dict.fromkeys(hosts):
        rows = np.flatnonzero(hosts == host)
        rows = rows[np.argsort(starts[rows], kind="stable")]
        until = np.append(starts[rows][1:], FOREVER_NS) if ends is None else ends[rows]
        # Intervals of one class may overlap: one holds on after another within it has ended.
        _refuse_crossed(path, starts[rows], until, classes[rows], lines[rows])
        found[str(host)] = starts[rows], np.maximum.accumulate(until), classes[rows], lines[rows]
    return Labels(path, _class_of(given.outside, schema, "[phase] outside"), found)


def _times(table: Table, column: str, given: Intervals) -> Ints:
    """Return the Unix ns of a column of times. Raises Refused for one that is none."""
    import pyarrow as pa

    reader = Times(given.clock, table.path)
    cells: Any = pa.array(table.columns[column], pa.string())
    lines = np.array(table.lines, dtype=np.int64)
    t_ns, bad = reader.read([cells], lines, np.zeros(len(lines), dtype=np.int64))
    reader.close()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise Refused(
            f"{table.path}: line {lines[row]}: {column}", f"is {table.columns[column][row]!r}",
            f"a time in {given.clock.written}", "Correct it, or unit and format under [phase].",
        )  # fmt: skip
    return t_ns


def _ends(table: Table, starts: Ints, given: Intervals) -> Ints | None:
    """Return the Unix ns at which each interval ends; None where it ends as the next begins."""
    if given.end:
        return _times(table, given.end, given)
    if not given.duration:
        return None
    lengths = []
    for line, cell in zip(table.lines, table.columns[given.duration], strict=True):
        try:
            lengths.append(round(float(cell) * given.duration_ns))
        except (ValueError, OverflowError):
            raise Refused(
                f"{table.path}: line {line}: {given.duration}", f"is {cell!r}",
                "a number", "Correct it, or [phase] duration in the mapping.",
            ) from None  # fmt: skip
    return starts + np.array(lengths, dtype=np.int64)


def _classes(table: Table, given: Intervals, schema: Schema) -> Ints:
    """Return the number of the class of each interval. Raises Refused for an unknown label."""
    column = given.label.column or ""
    found = []
    for line, cell in zip(table.lines, table.columns[column], strict=True):
        where = f"{table.path}: line {line}: {column}"
        found.append(_class_of(given.label.apply_rules(cell.strip(), where), schema, where))
    return np.array(found, dtype=np.int64)


def _class_of(name: str, schema: Schema, where: str) -> int:
    """Return the number of a class. Raises Refused for one that the schema does not know."""
    if name not in schema.classes:
        raise Refused(
            where, f"is {name!r}", f"one of {', '.join(schema.classes)}",
            "Add it to the schema's classes, or a rule to the mapping's [phase].",
            code="labels_class",
        )  # fmt: skip
    return schema.classes.index(name)


def _refuse_crossed(path: Path, starts: Ints, ends: Ints, classes: Ints, lines: Ints) -> None:
    """Raise Refused for an interval that ends before it starts, or lies in one of another class."""
    for row in np.flatnonzero(ends <= starts):
        raise Refused(
            f"{path}: line {lines[row]}", "ends before it starts, or there", "a later end",
            "Correct the times.",
        )  # fmt: skip
    ends = np.maximum.accumulate(ends)
    for row in np.flatnonzero((ends[:-1] > starts[1:]) & (classes[:-1] != classes[1:])):
        raise Refused(
            f"{path}: lines {lines[row]} and {lines[row + 1]}",
            f"name two phases for {(ends[row] - starts[row + 1]) / NS:,.0f} s",
            "one phase at a time", "Correct the times.",
        )  # fmt: skip
