"""What the rows of a sample hold: the channels of a draft, by the shape of the rows."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from phasewatch.adapters.suggest import channels, series
from phasewatch.adapters.suggest.channels import Channel, Columns
from phasewatch.adapters.suggest.columns import hosts, numbers, words
from phasewatch.adapters.suggest.columns.kinds import Guess
from phasewatch.adapters.suggest.sample import Sample
from phasewatch.adapters.suggest.series import Series
from phasewatch.adapters.suggest.shapes import Notes, Shape
from phasewatch.adapters.suggest.time_columns import Found
from phasewatch.errors import Refused

KIND = words.lexicon(
    """rule alert event eventname eventtype signature sig short type category name action priority
    method status code message template cluster""",
)
"""Words of a column that says of which kind an event is."""

MOST_KINDS, MOST_COUNTED = 200, 40
"""Different kinds of events in such a column at most, and kinds that get a channel of their own."""

STATED: Mapping[str, Guess] = {"counter": "counter", "gauge": "gauge", "delta": "event"}
"""Kinds that a file of metrics states in its column `kind`."""


def choose(
    found: Sample, columns: Columns, rows: Sequence[Series], shape: Shape,
    other_clocks: Sequence[Found], notes: Notes,
) -> tuple[list[Channel], Shape]:  # fmt: skip
    """Return the channels of a draft, and the shape with the kind of events that they are of.

    Raises Refused where no channel is left, or where columns have the names of machines.
    """
    _leave_clocks(columns, other_clocks, notes)
    if shape.keys or shape.by_path:
        chosen, remarks = _of_quantities(found, columns, rows, shape)
    else:
        chosen, remarks = channels.of_columns(found, columns, rows, shape.events)
    notes.remarks += remarks
    if asked := [one.name for one in chosen if one.kind == "?"]:
        notes.questions.append(
            f"kind of {', '.join(asked)}: values only rise, as running totals do, and no name says "
            'so. Write "counter" or "gauge" in the schema'
        )
    if shape.events:
        shape = _of_one_kind(found, columns, chosen, shape, notes)
        counted = [] if chosen else _counts(found, columns, notes)
        return channels.apart([*chosen, Channel("", "event"), *counted]), shape
    if not chosen:
        shown = "; ".join([*remarks, f"text: {', '.join(columns.texts[:8])}"])
        raise Refused(
            found.parts[0].name, f"no column could be a channel ({shown})",
            "a column of numbers that change",
            "Check the files, or count rows with --rows events.",
        )  # fmt: skip
    return chosen, shape


def _leave_clocks(columns: Columns, others: Sequence[Found], notes: Notes) -> None:
    """Take further columns of times out of the columns, with a remark on each."""
    second = dict.fromkeys(name for one in others for name in one.columns)
    for name in [*columns.numbers, *columns.texts]:
        if name in second:
            notes.remarks.append(f"left out, a second time column: {name}")
            columns.numbers.pop(name, None)
    columns.texts[:] = [name for name in columns.texts if name not in second]


def refuse_machines(found: Sample, chosen: Sequence[Channel]) -> None:
    """Raise Refused where the names of channels are those of machines, or begin or end so."""
    names = [one.column for one in chosen]
    if len(chosen) < 2:
        return
    machines = names if all(map(hosts.names_machine, names)) else hosts.crossed(names)
    if machines and (all(map(hosts.names_machine, machines)) or hosts.numbered(machines)):
        shown = ", ".join(names[:3])
        raise Refused(
            found.parts[0].name, f"its quantities {shown} have the names of machines in them",
            "a row for each machine and time, with a column for each quantity",
            "Write the table so, with the machine in a column; or run again with --rows samples if "
            "they are parts of one machine.",
        )  # fmt: skip


# ---------------------------------------------------------------- long tables


def _of_quantities(
    found: Sample, columns: Columns, rows: Sequence[Series], shape: Shape
) -> tuple[list[Channel], list[str]]:
    """Return the channels of a long table and remarks; only columns of values are left."""
    names = _quantities(found, shape)
    left = [name for name in columns.numbers if name not in shape.keys]
    value = series.long_form(found.columns, left)
    values = [value] if value and not shape.by_path else _value_columns(columns, left, rows)
    columns.numbers = {name: columns.numbers[name] for name in values}
    chosen, remarks = channels.of_quantities(columns, rows, names, values)
    return _kinds_stated(found, names, chosen), remarks


def _value_columns(columns: Columns, left: Sequence[str], rows: Sequence[Series]) -> list[str]:
    """Return the columns of a long table that hold values which change and name nothing."""
    return [
        name
        for name in left
        if not numbers.constant([columns.numbers[name][one.part][one.rows] for one in rows])
        and not channels.IDENTIFIES & set(words.words(name))
    ]


def _quantities(found: Sample, shape: Shape) -> list[list[str]]:
    """Return the quantity of each row, part by part: the texts of its keys joined by dots."""
    if shape.by_path:
        matches = [(re.search(shape.by_path, part.name), part) for part in found.parts]
        return [[one[1] if one else part.name] * len(part.table) for one, part in matches]
    parts = zip(*(found.cells(name) for name in shape.keys), strict=True)
    return [[".".join(filter(None, row)) for row in zip(*texts, strict=True)] for texts in parts]


def _kinds_stated(
    found: Sample, names: Sequence[Sequence[str]], chosen: Sequence[Channel]
) -> list[Channel]:
    """Return channels with the kinds that a long table states beside each value."""
    stated = zip((name for part in names for name in part), found.every("kind"), strict=True)
    told = {name: STATED[kind] for name, kind in stated if kind in STATED}
    return [replace(one, kind=told.get(one.column, one.kind)) for one in chosen]


# ---------------------------------------------------------------- events


def _counts(found: Sample, columns: Columns, notes: Notes) -> list[Channel]:
    """Return a channel for each frequent kind of event, by the column that names most kinds."""
    named = [name for name in columns.texts if KIND & set(words.words(name))]
    counts = {name: Counter(found.every(name)) for name in named}
    fit = [name for name in named if 1 < len(set(counts[name]) - {""}) <= MOST_KINDS]
    if not fit:
        return []
    best = max(fit, key=lambda name: len(counts[name]))
    whole = found.whole(best, 10 * MOST_KINDS)
    kinds = [kind for kind, _ in whole.most_common(MOST_COUNTED + 1) if kind][:MOST_COUNTED]
    notes.remarks.append(
        f"rows are counted by {best}: {len(kinds)} of {len(whole)} kinds, the most frequent"
    )
    return [Channel("", "event", where=(best, kind)) for kind in kinds]


def _of_one_kind(
    found: Sample, columns: Columns, chosen: Sequence[Channel], shape: Shape, notes: Notes
) -> Shape:
    """Return the shape with the kind of events to keep, where all channels are of one of several.

    A log of flows, alerts and statistics has values of flows in the rows of flows only.
    """
    filled = [found.every(one.column) for one in chosen]
    holding = [any(cells) for cells in zip(*filled, strict=True)]
    for name in columns.texts if filled else ():
        cells = found.every(name)
        kinds = {cell for cell, holds in zip(cells, holding, strict=True) if holds}
        others = sorted(set(cells) - kinds - {""})
        if len(kinds) == 1 and "" not in kinds and others and series.key_like(found, name):
            (kind,) = kinds
            notes.remarks.append(
                f"only rows whose {name} is {kind} are kept; others are {', '.join(others[:8])}"
            )
            return replace(shape, keep=(name, kind))
    return shape
