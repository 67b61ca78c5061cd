"""Decides what a row is: an event, one value among several of its time, or all values of its time.

Where names and times of rows do not decide, the user is asked: events that are averaged, and
machines that become parts of one, would be wrong without a sign of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, NoReturn

from phasewatch.adapters.suggest import paths, series
from phasewatch.adapters.suggest.channels import Columns
from phasewatch.adapters.suggest.columns import hosts, words
from phasewatch.adapters.suggest.sample import Sample
from phasewatch.adapters.suggest.series import Series
from phasewatch.adapters.suggest.text import quoted
from phasewatch.episode import Floats
from phasewatch.errors import Refused

DESCRIBING = ("kind", "unit")
"""Columns of a long table that describe its quantities and tell no series apart."""


@dataclass(frozen=True)
class Told:
    """What the user says of a source: columns by name, and whether rows are events or samples."""

    time: str = ""
    host: str = ""
    phase: str = ""
    quantity: str = ""
    rows: Literal["", "events", "samples"] = ""


NOTHING = Told()


@dataclass
class Notes:
    """Remarks and open questions, in the order in which they arise."""

    remarks: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Shape:
    """What a row is: an event, or a value among those that `keys` tell apart, or all of them.

    `join` makes rows of one time one row; `by_path` is the expression for quantities in paths.
    `keep` is the column and the text of the events that are kept, where there are several kinds.
    """

    events: bool = False
    join: bool = False
    keys: tuple[str, ...] = ()
    by_path: str = ""
    keep: tuple[str, str] | None = None


def decide(
    found: Sample, rows: Sequence[Series], columns: Columns, host_source: str, told: Told,
    notes: Notes,
) -> Shape:  # fmt: skip
    """Return what a row is. Raises Refused where it must be told."""
    if why := _events(found, rows, columns, told):
        notes.remarks.append(f"rows are taken for events, and summed in bins: {why}")
        return Shape(events=True)
    named = _long(found, rows, columns)
    if told.quantity and told.quantity not in named:
        return Shape(keys=(told.quantity,))
    if named:
        _refuse_machines(found, named, told)
        return Shape(keys=named)
    if by_path := _by_path(found, rows, host_source):
        return Shape(join=True, by_path=by_path)
    if not series.repeated(rows):
        return Shape(join=_beside(found, rows))
    if series.joinable(found, rows, list(columns.numbers)):
        return Shape(join=True)
    return _of_parts(found, rows, columns, told, notes)


def _events(found: Sample, rows: Sequence[Series], columns: Columns, told: Told) -> str:
    """Return why rows are events; empty where they are not. Raises Refused where it is unclear."""
    if told.rows:
        return "so you say" if told.rows == "events" else ""
    if series.of_flows(found.columns):
        return "columns name both ends of a flow"
    if series.even(rows):
        return ""
    if series.of_events(found.columns):
        return "they come at irregular times"
    if not columns.numbers:
        return "they come at irregular times, and hold no numbers"
    raise Refused(
        found.parts[0].name, "its rows come at irregular times, and nothing says what a row is",
        "events, such as flows or log lines, or samples of levels and totals",
        "Run again with --rows events (counted, and summed in bins), or --rows samples.",
    )  # fmt: skip


def _of_parts(
    found: Sample, rows: Sequence[Series], columns: Columns, told: Told, notes: Notes
) -> Shape:
    """Return the shape of a table with a row for each part of a machine, such as its disks.

    Raises Refused where nothing tells the rows of one time apart, or where what does may as well
    name machines.
    """
    texts = [name for name in columns.texts if name not in DESCRIBING]
    names = [*texts, *columns.numbers]
    keys = series.keys(found, rows, [one for one in names if series.key_like(found, one)])
    if keys and (told.host or all(_part(found, one) for one in keys)):
        notes.remarks.append(f"rows of one time differ in {', '.join(keys)}: they are pivoted")
        return Shape(keys=keys)
    if series.of_events(found.columns) and not told.rows:
        notes.remarks.append("rows share their times: they are taken for events, summed in bins")
        return Shape(events=True)
    _refuse(found, next((one for one in keys if not _part(found, one)), ""))


def _beside(found: Sample, rows: Sequence[Series]) -> bool:
    """Return whether files of one machine hold other columns at the same time."""
    columns = [part.columns for part in found.parts]
    machines: dict[str, list[Series]] = {}
    for one in rows if len(set(columns)) > 1 else ():
        machines.setdefault(one.host, []).append(one)
    return any(
        columns[one.part] != columns[other.part] and paths.overlapping([one.seconds, other.seconds])
        for series_of in machines.values()
        for one, other in combinations(series_of, 2)
    )


def _refuse_machines(found: Sample, keys: Sequence[str], told: Told) -> None:
    """Raise Refused for a column beside the name of a quantity that may name machines."""
    if told.host or told.quantity:
        return
    for key in keys:
        if not (series.names_quantity(key) or _part(found, key)):
            _refuse(found, key)


def _refuse(found: Sample, key: str) -> NoReturn:
    """Raise Refused for rows of one time that `key` tells apart, or nothing where it is empty."""
    if key:
        raise Refused(
            found.parts[0].name, f"rows of one time differ in {key} ({found.examples(key)})",
            "to know whether it names machines, or parts such as disks",
            f"Run again with --host {key}, or with --quantity {key}.",
        )  # fmt: skip
    raise Refused(
        found.parts[0].name, "several of its rows have one time, and nothing tells them apart",
        "a column that names the machine or the quantity of each row",
        "Name the machine with --host COLUMN, or run again with --rows events to sum rows in bins.",
    )  # fmt: skip


def _part(found: Sample, name: str) -> bool:
    """Return whether a column names parts of a machine or quantities, by its name or its cells."""
    cells = set(found.every(name))
    quantities = all(words.of_quantity(cell) for cell in cells)
    # Machines may have numbers, too.
    named = hosts.names_parts(cells) and not all(map(str.isdigit, cells))
    return series.names_part(name) or quantities or named


def _long(found: Sample, rows: Sequence[Series], columns: Columns) -> tuple[str, ...]:
    """Return the columns that name the quantity of a long table's rows; empty for other tables."""
    value = series.long_form(found.columns, list(columns.numbers))
    texts = [name for name in columns.texts if any(found.every(name))]
    named = [name for name in texts if series.names_quantity(name) and value]
    if not named:
        return ()
    if not series.repeated(rows):
        return (named[0],)
    recur = [name for name in columns.texts if name not in DESCRIBING]
    keys = series.keys(found, rows, [name for name in recur if series.key_like(found, name)])
    return keys if set(keys) & set(named) or not keys else (named[0], *keys)


def quantity_files(found: Sample) -> bool:
    """Return whether each file holds the values of one quantity, by which it is named."""
    names = [re.search(paths.FILE, part.name) for part in found.parts]
    quantities = {one[1] for one in names if one}
    alike = {part.columns for part in found.parts}
    values = [name for name in found.columns if series.VALUE_WORDS & set(words.words(name))]
    return (
        len(quantities) > 1
        and len(values) == len(alike) == 1
        and all(map(words.of_quantity, quantities))
        and not any(series.names_quantity(name) for name in found.columns)
    )


def _by_path(found: Sample, rows: Sequence[Series], host_source: str) -> str:
    """Return the expression for quantities in the paths of files; empty where files are alike.

    Files in the folder of one machine that hold the same times hold different quantities.
    """
    levels = paths.levels(found.names)
    level = next((one for one in levels if f"path = {quoted(one)} " in host_source), "")
    if not level:
        return paths.FILE if quantity_files(found) else ""
    spans: dict[str, list[Floats]] = {}
    for one in rows:
        match = re.search(level, found.parts[one.part].name)
        spans.setdefault(match[1] if match else "", []).append(one.seconds)
    if any(map(paths.overlapping, spans.values())):
        return paths.quantity(level)
    return ""
