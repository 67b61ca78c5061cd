"""Drafts a schema and a mapping from the first rows of a source's files.

The order matters: the clock first, then the machines, because kinds, steps and what a row is are
measured within one machine. What the files do not say is a question, which the draft leaves open
and `import` refuses, never a value.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from phasewatch.adapters.suggest import (
    channels,
    clocks,
    grid,
    intervals,
    paths,
    presets,
    sample,
    series,
    toml,
)
from phasewatch.adapters.suggest.channels import Channel, Columns
from phasewatch.adapters.suggest.clocks import UNKNOWN, Found
from phasewatch.adapters.suggest.columns import hosts, kinds, labels, numbers, words
from phasewatch.adapters.suggest.columns.labels import Labels
from phasewatch.adapters.suggest.sample import Part, Sample
from phasewatch.adapters.suggest.series import Series
from phasewatch.adapters.suggest.text import column, listed, quoted
from phasewatch.episode import Floats
from phasewatch.errors import Refused

TOLD_APART = ("kind", "unit")
"""Columns of a long table that describe its quantities and tell no series apart."""

ASKED = Labels(
    ('value = "?"  # CHECK what is every row: "benign"? Or name a column, path or file of labels',),
    ("benign", "other"),
)
"""The phase of a source in which nothing states it."""

DAY_S, WEEK_S = 86_400, 7 * 86_400
"""The length from which on a recording is cut into days."""


@dataclass(frozen=True)
class Told:
    """What the user says of a source: columns by name, and whether rows are events or samples."""

    time: str = ""
    host: str = ""
    phase: str = ""
    rows: Literal["", "events", "samples"] = ""


@dataclass(frozen=True)
class Draft:
    """The two files as text, questions that they leave open, and remarks for the person."""

    schema: str
    mapping: str
    remarks: tuple[str, ...]
    questions: tuple[str, ...] = ()


@dataclass
class _Notes:
    """Remarks and open questions, in the order in which they arise."""

    remarks: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Shape:
    """What a row is: an event, or a value among those that `keys` tell apart, or all of them."""

    events: bool = False
    join: bool = False
    keys: tuple[str, ...] = ()
    by_path: str = ""
    keep: tuple[str, str] | None = None
    """The column and the text of the rows that are kept, where rows are of several kinds."""


def suggest(source: Path, told: Told = Told()) -> Draft:
    """Return drafts for a table or a folder of tables.

    Raises Refused when no column is a time, or nothing could be a channel, or when what a row is
    must be told.
    """
    notes = _Notes()
    found = sample.read(source)
    found, stretches = intervals.apart(found)
    preset = presets.fitting(found)
    if preset:
        notes.remarks.append(
            f"these are files of preset {preset}: phasewatch import {source} --preset {preset}"
        )
    day_first = preset != "" and presets.load(preset).day_first
    clock, other_clocks = clocks.choose(found, told.time, day_first)
    found = _complementary(found, clock, notes)
    times = clocks.seconds(found, clock.clock)
    host, host_source = _host(found, clock, times, told, notes)
    rows = series.by_host(found, times, host)
    clock, rows = _zone(clock, times, rows, notes)
    labelled = _labels(found, clock, host, stretches, told, notes)
    used = {*clock.columns, host, labelled.column}
    rest = [name for name in found.columns if name not in used]
    written = numbers.notation((name, found.every(name)) for name in rest)
    columns = channels.read(found, rest, written.numerals)
    shape = _shape(found, rows, columns, host_source, told, notes)
    chosen = _channels(found, columns, rows, shape, other_clocks, notes)
    shape = _of_one_kind(found, columns, chosen, shape, notes)
    identity = _identity(found, columns, host_source, shape)
    notes.remarks += [_text_remark(name, identity, shape, found) for name in columns.texts]
    every = _every_s(rows, shape)
    parts = toml.Parts(
        chosen,
        labelled,
        grid.of_events(every) if shape.events else grid.of_rows(every),
        identity | _cut(rows),
        _file_lines(found),
        _number_lines(written, columns, notes),
        [f"column = {listed(clock.columns)}", *clock.lines],
        _row_lines(shape, every),
        _pivot_lines(shape, columns),
    )
    _tell(found, clock, notes)
    return Draft(
        toml.schema(parts), toml.mapping(parts), tuple(notes.remarks), tuple(notes.questions)
    )


def draft_of(name: str) -> Draft:
    """Return the files of a preset as drafts. Raises Refused for a name that is none."""
    preset = presets.load(name)
    asked = f'value = "{UNKNOWN}"' in preset.mapping
    questions = ("[phase]: such files do not state it",) if asked else ()
    return Draft(preset.schema, preset.mapping, (), questions)


# ---------------------------------------------------------------- files that belong together


def _complementary(found: Sample, clock: Found, notes: _Notes) -> Sample:
    """Return the sample with files of other columns that hold the same machine at the same time.

    A file of other columns and other times is left out, with a remark: `import` refuses it by name.
    """
    mine = [part for part in found.others if set(clock.columns) <= part.columns]
    others = replace(found, parts=tuple(mine), _texts={})
    times = _finite(clocks.seconds(found, clock.clock))
    same = [
        part
        for part, seconds in zip(mine, _finite(clocks.seconds(others, clock.clock)), strict=True)
        if any(
            paths.overlapping([seconds, one]) and paths.folder(part.name) == paths.folder(own.name)
            for one, own in zip(times, found.parts, strict=True)
        )
    ]
    for part in found.others:
        if part not in same:
            few = ", ".join(list(part.table.columns)[:6])
            notes.remarks.append(f"other columns, not in the draft: {part.name} ({few})")
    parts = (*found.parts, *same)
    names = dict.fromkeys(name for part in parts for name in part.table.columns)
    return replace(found, parts=parts, columns=tuple(names), others=(), _texts={})


def _finite(seconds: Sequence[Floats]) -> list[Floats]:
    return [one[np.isfinite(one)] for one in seconds]


# ---------------------------------------------------------------- machines, zones, phases


def _host(
    found: Sample, clock: Found, times: Sequence[Floats], told: Told, notes: _Notes
) -> tuple[str, str]:
    """Return the column that names machines, if any, and the source of the host as TOML."""
    rest = [name for name in found.columns if name not in clock.columns]
    if told.host:
        if told.host not in rest:
            raise Refused(
                found.source, f"has no column {told.host}", f"one of {', '.join(rest[:8])}",
                "Correct --host.",
            )  # fmt: skip
        return told.host, column(told.host)
    named = hosts.named([name for name in rest if _names_hosts(found, name, times)])
    if named:
        return named, column(named)
    if found.header_host:
        return "", f"{{ header = {quoted(sample.HOST_IN_HEADER.pattern)} }}"
    if paths.several_folders(found.names) and not _phases_of_paths(found):
        return "", f"{{ path = {quoted(paths.FOLDER)} }}"
    if len(found.parts) > 1 and paths.overlapping(_finite(times)):
        notes.remarks.append("files hold the same time: each is taken for a machine of its own")
        return "", f"{{ path = {quoted(paths.FILE)} }}"
    return "", '"host-1"'


def _phases_of_paths(found: Sample) -> bool:
    """Return whether the first folders name phases."""
    return labels.of_paths(found.names, (paths.FOLDER,)) is not None


def _names_hosts(found: Sample, name: str, times: Sequence[Floats]) -> bool:
    """Return whether a column may name machines: by its name alone, or by its name and the rows.

    A word such as "device" may stand for a part of a machine; then its values must tell series of
    even times apart. A column with a value in few rows names nothing.
    """
    cells = found.every(name)
    distinct = set(cells)
    if ("" in distinct and cells.count("") > len(cells) / 2) or len(distinct) > hosts.MOST_HOSTS:
        return False
    if len(distinct) * 2 > len(cells) or any(re.fullmatch(r"-?\d+[.]\d+", one) for one in distinct):
        return False
    if not hosts.likely_only(name):
        return True
    return len(distinct) == 1 or any(
        hosts.separates(part, seconds)
        for part, seconds in zip(found.cells(name), times, strict=True)
    )


def _zone(
    clock: Found, times: Sequence[Floats], rows: list[Series], notes: _Notes
) -> tuple[Found, list[Series]]:
    """Return the clock, its zone a question where the clocks change in dates without one.

    The rows then have their times as if they did not change.
    """
    if clock.question:
        notes.questions.append(f"[time] of {', '.join(clock.columns)}: {clock.lines[-1]}")
    if not clock.naive:
        return clock, rows
    in_order = [np.sort(one.rows) for one in rows]
    changed = [
        clocks.summer_time(times[one.part][order])
        for one, order in zip(rows, in_order, strict=True)
    ]
    if any(one is not None for one in changed):
        rows = [
            one if seconds is None else replace(one, rows=order, seconds=seconds)
            for one, order, seconds in zip(rows, in_order, changed, strict=True)
        ]
        line = f'zone = "{UNKNOWN}"  # CHECK the zone, such as "Europe/Berlin"'
        notes.questions.append(
            "[time] zone: an hour is lost or comes twice, as where summer time begins or ends"
        )
        return replace(clock, lines=(*clock.lines, line), question=True), rows
    notes.remarks.append("dates have no zone: they are read as UTC unless [time] zone names one")
    line = '# zone = "Europe/Berlin"  # dates have no zone: UTC, or the one named here'
    return replace(clock, lines=(*clock.lines, line)), rows


def _labels(
    found: Sample, clock: Found, host: str, stretches: Labels | None, told: Told, notes: _Notes
) -> Labels:
    """Return the labels of a column, a file of intervals or the paths; otherwise a question."""
    names = [told.phase] if told.phase else [
        name for name in found.columns if name not in (*clock.columns, host)
    ]  # fmt: skip
    texts = {name: sorted(set(found.every(name))) for name in names if name in found.columns}
    chosen = (
        (labels.of_told(told.phase, texts.get(told.phase, [])) if told.phase else None)
        or stretches
        or labels.of_columns(texts)
        or labels.of_paths(found.names, (paths.FOLDER, paths.FIRST))
    )
    if told.phase and chosen is None:
        raise Refused(
            found.source, f"{told.phase} states no phases", "a column with 2 to 20 words",
            "Correct --phase.",
        )  # fmt: skip
    if chosen is None:
        notes.questions.append(
            "[phase]: no column, folder or file name states the phase. Say what every row is, "
            'such as value = "benign", or name a file of labels (docs/how-to/import.md)'
        )
        return ASKED
    if not chosen.certain:
        notes.remarks.append(
            f"no class says that it is benign: the first, {chosen.classes[0]}, is taken for it; "
            "correct classes in the schema if it is another"
        )
    return chosen


# ---------------------------------------------------------------- rows


def _shape(
    found: Sample, rows: Sequence[Series], columns: Columns, host_source: str, told: Told,
    notes: _Notes,
) -> _Shape:  # fmt: skip
    """Return what a row is. Raises Refused where it must be told."""
    if told.rows == "events":
        return _Shape(events=True)
    regular = series.even(rows)
    event_like = series.of_events(found.columns)
    if not regular and event_like and not told.rows:
        notes.remarks.append(
            "rows come at irregular times: they are taken for events, and summed in bins"
        )
        return _Shape(events=True)
    if not regular and not told.rows:
        raise Refused(
            found.parts[0].name, "its rows come at irregular times, and nothing says what a row is",
            "events, such as flows or log lines, or samples of levels and totals",
            "Run again with --rows events (counted, and summed in bins), or --rows samples.",
        )  # fmt: skip
    if named := _long(found, rows, columns):
        return _Shape(keys=named)
    by_path = _by_path(found, rows, host_source)
    if by_path:
        return _Shape(join=True, by_path=by_path)
    if not series.repeated(rows):
        return _Shape(join=len({part.columns for part in found.parts}) > 1)
    if series.joinable(found, rows, list(columns.numbers)):
        return _Shape(join=True)
    candidates = [name for name in (*columns.texts, *columns.numbers) if name not in TOLD_APART]
    keys = series.keys(found, rows, [one for one in candidates if series.key_like(found, one)])
    if keys:
        notes.remarks.append(f"rows of one time differ in {', '.join(keys)}: they are pivoted")
        return _Shape(keys=keys)
    if event_like and not told.rows:
        notes.remarks.append("rows share their times: they are taken for events, summed in bins")
        return _Shape(events=True)
    raise Refused(
        found.parts[0].name, "several of its rows have one time, and nothing tells them apart",
        "a column that names the machine or the quantity of each row",
        "Name the machine with --host COLUMN, or run again with --rows events to sum rows in bins.",
    )  # fmt: skip


def _long(found: Sample, rows: Sequence[Series], columns: Columns) -> tuple[str, ...]:
    """Return the columns that name the quantity of a long table's rows; empty for other tables."""
    value = series.long_form(found.columns, list(columns.numbers))
    named = [name for name in columns.texts if series.names_quantity(name) and value]
    if not named:
        return ()
    if not series.repeated(rows):
        return (named[0],)
    recur = [name for name in columns.texts if name not in TOLD_APART]
    keys = series.keys(found, rows, [name for name in recur if series.key_like(found, name)])
    return keys if set(keys) & set(named) or not keys else (named[0], *keys)


def _by_path(found: Sample, rows: Sequence[Series], host_source: str) -> str:
    """Return the expression for quantities in the paths of files; empty where files are alike.

    Files in the folder of one machine that hold the same times hold different quantities.
    """
    if "path" not in host_source or paths.FOLDER not in host_source.replace("\\\\", "\\"):
        return ""
    for name in {paths.folder(part.name) for part in found.parts}:
        spans = [one.seconds for one in rows if paths.folder(found.parts[one.part].name) == name]
        if paths.overlapping(spans):
            return paths.QUANTITY
    return ""


def _channels(
    found: Sample, columns: Columns, rows: Sequence[Series], shape: _Shape,
    other_clocks: Sequence[Found], notes: _Notes,
) -> list[Channel]:  # fmt: skip
    """Return the channels of a draft. Raises Refused where nothing is left."""
    second = {name for one in other_clocks for name in one.columns}
    for name in [name for name in columns.numbers if name in second]:
        notes.remarks.append(f"left out, a second time column: {name}")
        del columns.numbers[name]
    for name in [name for name in columns.texts if name in second]:
        notes.remarks.append(f"left out, a second time column: {name}")
        columns.texts.remove(name)
    if shape.keys or shape.by_path:
        columns.numbers = {k: v for k, v in columns.numbers.items() if k not in shape.keys}
        names = _quantities(found, shape)
        value = series.long_form(found.columns, list(columns.numbers))
        values = [value] if value and not shape.by_path else _value_columns(columns, rows)
        columns.numbers = {name: columns.numbers[name] for name in values}
        chosen, remarks = channels.of_quantities(columns, rows, names, values)
        chosen = _kinds_told(found, names, chosen)
    else:
        chosen, remarks = channels.of_columns(found, columns, rows, shape.events)
    notes.remarks += remarks
    if asked := [one.name for one in chosen if one.kind == "?"]:
        notes.questions.append(
            f"kind of {', '.join(asked)}: values only rise, as running totals do, and no name says "
            'so. Write "counter" or "gauge" in the schema'
        )
    if shape.events:
        return [*chosen, Channel("", "event")]
    if not chosen:
        shown = "; ".join([*remarks, f"text: {', '.join(columns.texts[:8])}"])
        raise Refused(
            found.parts[0].name, f"no column could be a channel ({shown})",
            "a column of numbers that change", "Check the files.",
        )  # fmt: skip
    return chosen


TOLD_KINDS: dict[str, kinds.Guess] = {"counter": "counter", "gauge": "gauge", "delta": "event"}
"""Kinds that a file of metrics states in its column `kind`."""


def _kinds_told(
    found: Sample, names: Sequence[Sequence[str]], chosen: Sequence[Channel]
) -> list[Channel]:
    """Return channels with the kinds that a long table states beside each value."""
    stated = zip((name for part in names for name in part), found.every("kind"), strict=True)
    told = {name: TOLD_KINDS[kind] for name, kind in stated if kind in TOLD_KINDS}
    return [replace(one, kind=told.get(one.column, one.kind)) for one in chosen]


def _of_one_kind(
    found: Sample, columns: Columns, chosen: Sequence[Channel], shape: _Shape, notes: _Notes
) -> _Shape:
    """Return the shape with the kind of events to keep, where all channels are of one of several.

    A log of flows, alerts and statistics has values of flows in the rows of flows only.
    """
    filled = [found.every(one.column) for one in chosen if one.column]
    if not shape.events or not filled:
        return shape
    holding = [any(cells) for cells in zip(*filled, strict=True)]
    for name in columns.texts:
        cells = found.every(name)
        kinds = {cell for cell, holds in zip(cells, holding, strict=True) if holds}
        others = set(cells) - kinds
        if len(kinds) == 1 and "" not in kinds and others and series.key_like(found, name):
            (kind,) = kinds
            notes.remarks.append(
                f"only rows whose {name} is {kind} are kept; the others are "
                f"{', '.join(sorted(others)[:8])}"
            )
            return replace(shape, keep=(name, kind))
    return shape


def _value_columns(columns: Columns, rows: Sequence[Series]) -> list[str]:
    """Return the columns of a long table that hold values which change and name nothing."""
    return [
        name
        for name, parts in columns.numbers.items()
        if not numbers.constant([parts[one.part][one.rows] for one in rows])
        and not channels.IDENTIFIES & set(words.words(name))
    ]


def _quantities(found: Sample, shape: _Shape) -> list[list[str]]:
    """Return the quantity of each row, part by part: the texts of its keys joined by dots."""
    if shape.by_path:
        texts = []
        for part in found.parts:
            match = re.search(shape.by_path, part.name)
            texts.append([match[1] if match else part.name] * len(part.table))
        return texts
    cells = [found.cells(name) for name in shape.keys]
    return [
        [".".join(filter(None, row)) for row in zip(*columns, strict=True)]
        for columns in zip(*cells, strict=True)
    ]


def _every_s(rows: Sequence[Series], shape: _Shape) -> float:
    """Return the seconds between rows of one machine: the usual ones, the mean of events."""
    if not shape.events:
        return series.every_s(rows) or 1.0
    spans = sum(float(np.ptp(one.seconds)) for one in rows)
    return spans / max(sum(len(one.seconds) - 1 for one in rows), 1) or 1.0


# ---------------------------------------------------------------- lines of the mapping


def _identity(found: Sample, columns: Columns, host_source: str, shape: _Shape) -> dict[str, str]:
    """Return where host and sample come from, as TOML."""
    named = hosts.sample(columns.texts)
    whole = '{ path = "^([^.]+)" }  # the file\'s path'
    if shape.join or len(found.names) == 1:
        # Rows of several files become one episode, so the path must not tell them apart.
        whole = '"all"' if shape.join else whole
    return {"host": host_source, "sample": column(named) if named else whole}


def _cut(rows: Sequence[Series]) -> dict[str, str]:
    """Return the length at which long recordings are cut, nothing where none is long."""
    spans = [float(np.ptp(one.seconds)) for one in rows]
    every = series.every_s(rows)
    if max(spans, default=0.0) <= WEEK_S:
        return {}
    if every * 48 > DAY_S:
        return {"every_s": f"{WEEK_S}  # CHECK: longer recordings are cut into weeks"}
    return {"every_s": f"{DAY_S}  # CHECK: recordings of more than a week are cut into days"}


def _file_lines(found: Sample) -> list[str]:
    """Return the lines of [files] beside the pattern."""
    if found.header_host:
        expression = sample.HOST_IN_HEADER.pattern.replace("(", "").replace(")", "")
        return [f"rename = [[{quoted(expression)}, '']]"]
    return []


def _number_lines(written: numbers.Notation, columns: Columns, notes: _Notes) -> list[str]:
    """Return the lines of [numbers]."""
    lines = []
    if written.doubt:
        notes.questions.append("[numbers] decimal: a comma may be a decimal sign, or 1,000 be 1000")
        lines.append(
            'decimal = "?"  # CHECK ",", or "." and thousands = "," where 1,234 is above 1000'
        )
    elif written.numerals.decimal != "." or written.numerals.thousands:
        lines.append(f"decimal = {quoted(written.numerals.decimal)}")
        if written.numerals.thousands:
            lines.append(f"thousands = {quoted(written.numerals.thousands)}")
    if columns.missing:
        lines.append(f"missing = [{', '.join(map(quoted, columns.missing))}]  # CHECK")
        notes.remarks.append(f'taken for "not measured": {", ".join(columns.missing)}')
    if written.numerals.suffixes:
        pairs = ", ".join(
            f"{quoted(word)} = {factor:.15g}" for word, factor in written.numerals.suffixes
        )
        lines.append(f"suffixes = {{ {pairs} }}  # CHECK")
        notes.remarks.append(f"words after numbers: {pairs}")
    return lines


def _row_lines(shape: _Shape, every_s: float) -> list[str]:
    """Return the lines of [rows]."""
    if shape.events:
        keep = (
            [f"keep = {{ {quoted(shape.keep[0])} = {quoted(shape.keep[1])} }}"]
            if shape.keep
            else []
        )
        return [f"events_every_s = {grid.of_events(every_s).step_s:g}", *keep]
    return ["join = true"] if shape.join and not shape.by_path else []


def _pivot_lines(shape: _Shape, columns: Columns) -> list[str]:
    """Return the lines of [pivot]."""
    if not shape.keys and not shape.by_path:
        return []
    name = f"path = {quoted(shape.by_path)}" if shape.by_path else f"name = {listed(shape.keys)}"
    return [name, f"value = {listed(list(columns.numbers))}"]


# ---------------------------------------------------------------- remarks


def _text_remark(name: str, identity: dict[str, str], shape: _Shape, found: Sample) -> str:
    """Return what becomes of a column of text: the draft uses it, or not."""
    uses = [key for key, source in identity.items() if source == column(name)]
    uses += ["name of a quantity"] if name in shape.keys else []
    use = f"used as {' and '.join(uses)}" if uses else "left out, text"
    return f"{use}: {name} ({_examples(found, name)})"


def _examples(found: Sample, name: str) -> str:
    """Return the number of different texts of a column, and the first three."""
    texts = sorted(set(found.every(name)) - {""})
    return f"{len(texts)}: {', '.join(texts[:3])}{', …' if texts[3:] else ''}" if texts else "empty"


def _tell(found: Sample, clock: Found, notes: _Notes) -> None:
    """Add remarks on files that could not be read, and on how the first is written."""
    notes.remarks += [f"not read: {problem}" for problem in found.unreadable]
    notes.remarks += [f"{found.parts[0].name}: {note}" for note in found.first.layout.notes]


__all__ = ["Draft", "Part", "Told", "suggest"]
