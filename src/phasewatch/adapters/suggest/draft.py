"""Drafts a schema and a mapping from the first rows of a source's files.

The order matters: the clock first, then the machines, because kinds, steps and what a row is are
measured within one machine. What the files do not say is a question, which the draft leaves open
and `import` refuses, never a value.
"""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phasewatch.adapters.intervals import resembling
from phasewatch.adapters.suggest import (
    channels,
    content,
    grid,
    intervals,
    paths,
    presets,
    sample,
    series,
    shapes,
    time_columns,
    toml,
)
from phasewatch.adapters.suggest.channels import Channel, Columns
from phasewatch.adapters.suggest.columns import hosts, labels, numbers, words
from phasewatch.adapters.suggest.columns.labels import Labels
from phasewatch.adapters.suggest.sample import Part, Sample
from phasewatch.adapters.suggest.series import Series
from phasewatch.adapters.suggest.shapes import NOTHING, Notes, Shape, Told
from phasewatch.adapters.suggest.text import column, listed, quoted
from phasewatch.adapters.suggest.time_columns import Found
from phasewatch.episode import Floats
from phasewatch.errors import Refused
from phasewatch.schema import QUESTION

ONE_HOST = '"host-1"'
"""The source of the host of tables that name none, as TOML."""

ASKED = Labels(
    ('value = "?"  # CHECK what is every row: "benign"? Or name a column, path or file of labels',),
    (labels.REST, labels.OTHER),
)
"""The phase of a source in which nothing states it."""

LETTER = re.compile(r"[^\W\d_]")
"""A letter of any script."""

MOST_WORDS = 3
"""Words in the name of a machine, at most: more are a message."""

SILENCE, MOST_SILENT = 10, 0.4
"""Intervals between rows without one that are a silence, and its share of the time at most."""

DAY_S, WEEK_S = 86_400, 7 * 86_400
"""The length from which on a recording is cut into days."""


@dataclass(frozen=True)
class Draft:
    """The two files as text, questions that they leave open, and remarks for the person."""

    schema: str
    mapping: str
    remarks: tuple[str, ...]
    questions: tuple[str, ...] = ()


def suggest(source: Path, told: Told = NOTHING) -> Draft:
    """Return drafts for a table or a folder of tables.

    Raises Refused when no column is a time, or nothing could be a channel, or when what a row is
    must be told.
    """
    notes = Notes()
    found, stretches = intervals.apart(sample.read(source))
    preset = presets.fitting(found)
    if not preset:
        return _drafted(found, stretches, False, told, notes)
    command = f"phasewatch import {source} --preset {preset}"
    notes.remarks.append(f"these are files of preset {preset}: {command}")
    try:
        return _drafted(found, stretches, presets.load(preset).day_first, told, notes)
    except Refused as error:
        raise Refused(
            error.where, error.problem, error.expected, f"{error.remedy} Or use: {command}"
        ) from error


def _drafted(
    found: Sample, stretches: Labels | None, day_first: bool, told: Told, notes: Notes
) -> Draft:
    """Return the drafts for a sample whose file of labels, if any, stands apart."""
    clock, other_clocks = time_columns.choose(found, told.time, day_first)
    found = _complementary(found, clock, notes)
    times = time_columns.seconds(found, clock.clock)
    host, host_source = _host(found, stretches, clock, times, told, notes)
    stretches = _labelled_hosts(found, stretches, host, host_source, notes)
    rows = series.by_host(found, times, host)
    clock, rows = _zone(clock, times, rows, notes)
    labelled = _labels(found, clock, host, stretches, told, notes)
    used = {*clock.columns, host, labelled.column}
    _refuse_late(found, used, told)
    rest = [name for name in found.columns if name not in used]
    written = numbers.notation((name, found.every(name)) for name in rest)
    columns = channels.read(found, rest, written.numerals)
    shape = shapes.decide(found, rows, columns, host_source, told, notes)
    chosen, shape = content.choose(found, columns, rows, shape, other_clocks, notes)
    if not (shape.events or told.rows or told.quantity):
        content.refuse_machines(found, chosen)
        host_source = _asked_host(host_source, chosen, notes)
    identity = _identity(found, columns, host_source, shape)
    notes.remarks += [_text_remark(name, identity, shape, found) for name in columns.texts]
    every = _every_s(rows, shape)
    parts = toml.Parts(
        chosen,
        labelled,
        grid.of_events(every) if shape.events else grid.of_rows(every),
        identity | _cut(rows, shape),
        _file_lines(found),
        _number_lines(written, columns, notes),
        [f"column = {listed(clock.columns)}", *clock.lines, *_rounding(rows, shape, found)],
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
    asked = f'value = "{QUESTION}"' in preset.mapping
    questions = ("[phase]: such files do not state it",) if asked else ()
    return Draft(preset.schema, preset.mapping, (), questions)


# ---------------------------------------------------------------- files that belong together


def _complementary(found: Sample, clock: Found, notes: Notes) -> Sample:
    """Return the sample with files of other columns that hold the same machine at the same time.

    A file of other columns and other times is left out, with a remark: `import` refuses it by name.
    """
    # Logs of events have a row for each event: those of another log are no values of theirs.
    log = series.of_flows(found.columns) or series.of_events(found.columns)
    mine = [part for part in found.others if set(clock.columns) <= part.columns and not log]
    others = replace(found, parts=tuple(mine), _texts={})
    times = _finite(time_columns.seconds(found, clock.clock))
    theirs = _finite(time_columns.seconds(others, clock.clock))
    same = [
        part
        for part, seconds in zip(mine, theirs, strict=True)
        if any(
            paths.overlapping([seconds, one])
            and paths.folder(part.name, found.names) == paths.folder(own.name, found.names)
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
    found: Sample, stretches: Labels | None, clock: Found, times: Sequence[Floats], told: Told,
    notes: Notes,
) -> tuple[str, str]:  # fmt: skip
    """Return the column that names machines, if any, and the source of the host as TOML."""
    rest = [name for name in found.columns if name not in clock.columns]
    if told.host:
        if told.host not in rest:
            raise Refused(
                found.source, f"has no column {told.host}", f"one of {', '.join(rest[:8])}",
                "Correct --host.",
            )  # fmt: skip
        return told.host, column(told.host)
    if labelled := intervals.machines(found, stretches):
        notes.remarks.append("machines are those that the file of labels names, in the paths")
        return "", f"{{ path = {quoted(labelled)} }}"
    fitting = [name for name in rest if _names_hosts(found, name, times)]
    _refuse_doubtful(found, fitting, told)
    named = hosts.named(fitting)
    if named:
        notes.remarks.append(f"used as host: {named} ({found.examples(named)})")
        return named, column(named)
    if found.header_host:
        return "", f"{{ header = {quoted(sample.HOST_IN_HEADER.pattern)} }}"
    for level in paths.levels(found.names):
        if labels.of_paths(found.names, (level,)) is None:
            return "", f"{{ path = {quoted(level)} }}"
    _refuse_series(found, rest, times, told)
    if shapes.quantity_files(found):
        return "", ONE_HOST
    if _machine_each(found, times):
        notes.remarks.append("files hold the same time: they are taken for machines by their names")
        return "", f"{{ path = {quoted(paths.FILE)} }}"
    return "", ONE_HOST


def _asked_host(host_source: str, chosen: Sequence[Channel], notes: Notes) -> str:
    """Return the source of the host; a question where names of channels may name machines."""
    machines = hosts.crossed([one.column for one in chosen])
    if host_source != ONE_HOST or not machines:
        return host_source
    few = ", ".join(machines[:4])
    notes.questions.append(
        f"[episode] host: are {few} in the names of columns machines? Then write a row for each, "
        'with the machine in a column; parts of one machine are host = "host-1"'
    )
    return f'"{QUESTION}"  # CHECK "host-1" if {few} are parts of one machine'


def _refuse_doubtful(found: Sample, fitting: Sequence[str], told: Told) -> None:
    """Raise Refused where columns may name machines or what they measure, and none is sure to.

    So it is with several such columns that differ, and with the only name in a table of values.
    """
    named = [name for name in fitting if hosts.rank(name) < hosts.NO_NAME]
    if not named or told.quantity or not all(map(hosts.likely_only, named)):
        return
    first = found.every(named[0])
    other = next((one for one in named if not _same_groups(first, found.every(one))), "")
    numbers = [name for name in found.columns if series.VALUE_WORDS & set(words.words(name))]
    quantity = any(series.names_quantity(name) for name in found.columns if name not in named)
    if other:
        both = f"{named[0]} ({found.examples(named[0])}) and {other} ({found.examples(other)})"
        raise Refused(
            found.parts[0].name, f"{both} may both name machines",
            "to know which does", f"Run again with --host {named[0]}, or with --host {other}.",
        )  # fmt: skip
    if len(numbers) == 1 and not quantity and len(set(first)) > 1:
        raise Refused(
            found.parts[0].name, f"{named[0]} ({found.examples(named[0])}) stands beside one value",
            "to know whether it names machines, or what the value is of",
            f"Run again with --host {named[0]}, or with --quantity {named[0]}.",
        )  # fmt: skip


def _same_groups(cells: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether two columns divide the rows alike."""
    pairs = set(zip(cells, others, strict=True))
    return len(pairs) == len(set(cells)) == len(set(others))


def _refuse_series(
    found: Sample, names: Sequence[str], times: Sequence[Floats], told: Told
) -> None:
    """Raise Refused for a column that tells series apart, as the names of machines would."""
    if told.quantity or told.rows or series.of_flows(found.columns):
        return
    for name in names:
        cells, distinct = found.cells(name), set(found.every(name))
        parts = hosts.names_parts(distinct) or all(map(words.of_quantity, distinct))
        if parts or not (all(map(LETTER.search, distinct)) or _follow(found, name, times)):
            continue
        if any(len(one.split()) > MOST_WORDS for one in distinct):
            continue
        named = series.names_part(name) or series.names_quantity(name) or labels.holds_answer(name)
        follow = _follow(found, name, times)
        if not named and (follow or all(map(hosts.separates, cells, times))):
            raise Refused(
                found.parts[0].name,
                f"{name} ({found.examples(name)}) tells series of rows at even times apart",
                "to know whether it names machines, or parts such as disks",
                f"Run again with --host {name}, with --quantity {name}, or with --rows samples "
                "if it names neither.",
            )  # fmt: skip


def _follow(found: Sample, name: str, times: Sequence[Floats]) -> bool:
    """Return whether a column may name machines whose rows follow each other in time."""
    said = set(words.words(name))
    if hosts.NO_MACHINE & said or labels.may_state(name) or time_columns.rank_of(name) < 2:
        return False
    distinct = set(found.every(name))
    if not all(map(LETTER.search, distinct)):
        whole = all(map(str.isdigit, distinct)) and not hosts.names_parts(distinct)
        return whole and not words.of_quantity(name) and _in_blocks(found, name, times)
    if not series.key_like(found, name):
        return False
    return hosts.numbered(distinct) or _in_blocks(found, name, times)


def _in_blocks(found: Sample, name: str, times: Sequence[Floats]) -> bool:
    """Return whether each value of a column has one stretch of time to itself, in each file."""
    return all(map(hosts.blocks, found.cells(name), times))


def _refuse_late(found: Sample, used: Collection[str], told: Told) -> None:
    """Raise Refused for a column that changes below the rows of the sample, and may name machines.

    Rows that are sorted by machine look like those of one.
    """
    if told.host or told.rows or told.quantity:
        return
    for name in found.unchanging:
        if name in used or labels.holds_answer(name) or labels.may_state(name):
            continue
        texts = found.whole(name, hosts.MOST_HOSTS)
        if len(texts) > 1:
            raise Refused(
                found.source, f"{name} is {found.every(name)[0]} in the rows looked at, and one of "
                f"{len(texts)} texts in all: {', '.join(sorted(texts)[:3])}",
                "to know whether it names machines",
                f"Run again with --host {name}, or with --rows samples if it names none.",
            )  # fmt: skip


def _labelled_hosts(
    found: Sample, stretches: Labels | None, host: str, host_source: str, notes: Notes
) -> Labels | None:
    """Return the labels of a file with the column that names machines as the tables do."""
    known = set(found.every(host)) if host else set()
    source = tomllib.loads(f"host = {host_source}")["host"]
    if isinstance(source, dict) and "path" in source:
        known |= {one[1] for name in found.names if (one := re.search(source["path"], name))}
    for name in sorted(stretches.hosts - known if stretches else ()):
        if other := resembling(name, known):
            notes.questions.append(
                f"[phase] host: is {name} of the file of labels {other} of the tables? `import` "
                "takes both for different machines: write them alike"
            )
    stretches, left = intervals.of_hosts(stretches, known)
    if left:
        notes.questions.append(
            f"[phase] host: does {left} of the file of labels name machines? Its words are none of "
            "the tables: without it, each label holds for all machines"
        )
    return stretches


def _machine_each(found: Sample, times: Sequence[Floats]) -> bool:
    """Return whether files of the same columns hold the same time, but none of one name do.

    Files of other columns that hold the same time are of one machine.
    """
    spans: dict[str, list[Floats]] = {}
    alike = [part.columns == found.parts[0].columns for part in found.parts]
    seconds = _finite(times)
    for part, one, same in zip(found.parts, seconds, alike, strict=True):
        match = re.search(paths.FILE, part.name)
        if same and match:
            spans.setdefault(match[1], []).append(one)
    every = [one for found_spans in spans.values() for one in found_spans]
    apart = not any(paths.overlapping(found_spans) for found_spans in spans.values())
    return len(spans) > 1 and apart and paths.overlapping(every)


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
    if hosts.names_parts(cells) or all(map(words.of_quantity, distinct)):
        return False
    return len(distinct) == 1 or any(
        hosts.covers(part, seconds) for part, seconds in zip(found.cells(name), times, strict=True)
    )


def _zone(
    clock: Found, times: Sequence[Floats], rows: list[Series], notes: Notes
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
        time_columns.summer_time(times[one.part][order])
        for one, order in zip(rows, in_order, strict=True)
    ]
    if any(one is not None for one in changed):
        rows = [
            one if seconds is None else replace(one, rows=order, seconds=seconds)
            for one, order, seconds in zip(rows, in_order, changed, strict=True)
        ]
        line = f'zone = "{QUESTION}"  # CHECK the zone, such as "Europe/Berlin"'
        notes.questions.append(
            "[time] zone: an hour is lost or comes twice, as where summer time begins or ends"
        )
        return replace(clock, lines=(*clock.lines, line), question=True), rows
    notes.remarks.append("dates have no zone: they are read as UTC unless [time] zone names one")
    line = '# zone = "Europe/Berlin"  # dates have no zone: UTC, or the one named here'
    return replace(clock, lines=(*clock.lines, line)), rows


def _labels(
    found: Sample, clock: Found, host: str, stretches: Labels | None, told: Told, notes: Notes
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
        or labels.of_paths(found.names, (*paths.levels(found.names), paths.FIRST))
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
            + _two_valued(texts)
        )
        return ASKED
    if chosen.doubt:
        notes.questions.append(
            f"[phase]: do the names of the files ({', '.join(chosen.classes[:4])}) state it? Then "
            f"write {chosen.fields[0]}, and these classes; otherwise what every row is"
        )
        return ASKED
    if any(one.startswith('outside = "?"') for one in chosen.fields):
        notes.questions.append("[phase] outside: what is the time that no label names?")
    if chosen.column:
        whole = found.whole(chosen.column, labels.MAX_CLASSES)
        chosen = labels.of_told(chosen.column, sorted(whole)) or chosen
    if not chosen.certain and all(map(labels.is_number, chosen.classes)):
        notes.questions.append(
            f'classes: which of {", ".join(chosen.classes)} is benign? Write it first, and no "?"'
        )
        chosen = replace(chosen, classes=(QUESTION, *chosen.classes))
    elif not chosen.certain:
        notes.remarks.append(
            f"no class says that it is benign: the first, {chosen.classes[0]}, is taken for it; "
            "correct classes in the schema if it is another"
        )
    return chosen


def _two_valued(texts: Mapping[str, Sequence[str]]) -> str:
    """Return a hint at columns of two values, one of which may be the answer; empty for none."""
    found = [name for name, cells in texts.items() if set(cells) in ({"0", "1"}, {"0.0", "1.0"})]
    return f". Columns of two values may be it: {', '.join(found[:8])}" if found else ""


# ---------------------------------------------------------------- rows


def _every_s(rows: Sequence[Series], shape: Shape) -> float:
    """Return the seconds between rows of one machine: the usual ones, the mean of events."""
    if not shape.events:
        return series.every_s(rows) or 1.0
    spans = sum(float(np.ptp(one.seconds)) for one in rows)
    return spans / max(sum(len(one.seconds) - 1 for one in rows), 1) or 1.0


# ---------------------------------------------------------------- lines of the mapping


def _identity(found: Sample, columns: Columns, host_source: str, shape: Shape) -> dict[str, str]:
    """Return where host and sample come from, as TOML."""
    named = hosts.sample(columns.texts)
    whole = '{ path = "^([^.]+)" }  # the file\'s path'
    if shape.join or len(found.names) == 1:
        # Rows of several files become one episode, so the path must not tell them apart.
        whole = '"all"' if shape.join else whole
    return {"host": host_source, "sample": column(named) if named else whole}


def _cut(rows: Sequence[Series], shape: Shape) -> dict[str, str]:
    """Return the length at which long recordings are cut, nothing where none is long."""
    spans = [float(np.ptp(one.seconds)) for one in rows]
    every = series.every_s(rows)
    if not shape.events and (silent := _gap_s(rows, every)):
        return {"gap_s": f"{silent:g}  # CHECK: longer silences end a recording"}
    if max(spans, default=0.0) <= WEEK_S:
        return {}
    if every * 48 > DAY_S:
        return {"every_s": f"{WEEK_S}  # CHECK: longer recordings are cut into weeks"}
    return {"every_s": f"{DAY_S}  # CHECK: recordings of more than a week are cut into days"}


def _gap_s(rows: Sequence[Series], every: float) -> float:
    """Return the silence that ends a recording, 0 where there is little silence."""
    steps = np.concatenate([np.diff(one.seconds) for one in rows] or [np.zeros(0)])
    silent = steps[steps > SILENCE * every]
    if not every or float(silent.sum()) <= MOST_SILENT * float(steps.sum()):
        return 0.0
    return SILENCE * every


def _file_lines(found: Sample) -> list[str]:
    """Return the lines of [files] beside the pattern."""
    if found.header_host:
        expression = sample.HOST_IN_HEADER.pattern.replace("(", "").replace(")", "")
        return [f"rename = [[{quoted(expression)}, '']]"]
    return []


def _number_lines(written: numbers.Notation, columns: Columns, notes: Notes) -> list[str]:
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


def _row_lines(shape: Shape, every_s: float) -> list[str]:
    """Return the lines of [rows]."""
    if shape.events:
        keep = (
            [f"keep = {{ {quoted(shape.keep[0])} = {quoted(shape.keep[1])} }}"]
            if shape.keep
            else []
        )
        return [f"events_every_s = {grid.of_events(every_s).step_s:g}", *keep]
    return ["join = true"] if shape.join and not shape.by_path else []


def _rounding(rows: Sequence[Series], shape: Shape, found: Sample) -> list[str]:
    """Return the line that rounds times, where files of a machine are written some time apart."""
    every = series.every_s(rows)
    machines: dict[str, list[Floats]] = {}
    for one in rows:
        name = found.parts[one.part].name
        place = paths.folder(name, found.names) if shape.by_path else one.host
        machines.setdefault(place, []).append(one.seconds)
    steps = [np.diff(np.unique(np.concatenate(one))) for one in machines.values()]
    together = np.concatenate(steps) if shape.join and steps else np.zeros(0)
    if not len(together) or float(np.quantile(together, 0.25)) > 0.5 * every:
        return []
    even = round(every) if every >= 1 and abs(every - round(every)) < 0.02 * every else every
    return [f"round_s = {even:g}  # CHECK: quantities of one time are written some time apart"]


def _pivot_lines(shape: Shape, columns: Columns) -> list[str]:
    """Return the lines of [pivot]."""
    if not shape.keys and not shape.by_path:
        return []
    name = f"path = {quoted(shape.by_path)}" if shape.by_path else f"name = {listed(shape.keys)}"
    return [name, f"value = {listed(list(columns.numbers))}"]


# ---------------------------------------------------------------- remarks


def _text_remark(name: str, identity: dict[str, str], shape: Shape, found: Sample) -> str:
    """Return what becomes of a column of text: the draft uses it, or not."""
    uses = [key for key, source in identity.items() if source == column(name)]
    uses += ["name of a quantity"] if name in shape.keys else []
    use = f"used as {' and '.join(uses)}" if uses else "left out, text"
    return f"{use}: {name} ({found.examples(name)})"


def _tell(found: Sample, clock: Found, notes: Notes) -> None:
    """Add remarks on files that could not be read, and on how the first is written."""
    notes.remarks += [f"not read: {problem}" for problem in found.unreadable]
    notes.remarks += [f"{found.parts[0].name}: {note}" for note in found.first.layout.notes]


__all__ = ["Draft", "Part", "Told", "suggest"]
