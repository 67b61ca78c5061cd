"""Drafts a schema and a mapping from the data, for a person to correct.

What cannot be known from numbers (units, which phase is benign, what a defender sees) is marked
CHECK. A column that is constant in every file only identifies the file: it is left out, with a
remark. So are a second time column, and text. Rows at irregular times are taken for events.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from phasewatch.adapters import tables
from phasewatch.adapters.importer import MISSING
from phasewatch.adapters.mapping import CLOCKS
from phasewatch.adapters.tables import Table
from phasewatch.episode import UNIX_CEILING_NS, UNIX_FLOOR_NS, Floats
from phasewatch.errors import Refused
from phasewatch.schema import NS

FILES = 12
"""Files that are read, spread evenly over all of them."""

STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600)
"""Grid steps to choose from, in seconds."""

MAX_CLASSES = 20
"""With more values, a column or a part of the path is not taken for the phase."""

TIME = re.compile(r"(date|time|date_?time|ts|time_?stamp|epoch)(_?[mun]?s)?", re.IGNORECASE)
PHASE = re.compile(r"(phase|label|class|attack|behaviou?r|activity|state)s?", re.IGNORECASE)
FOLDER, FIRST = r"^([^/]+)/", r"([^/_.-]+)[^/]*$"
"""Parts of a path that may hold a text: the first folder, and the first word of the file name."""

BENIGN = re.compile(r"benign|normal|idle|^0$|none|rest", re.IGNORECASE)
HOST = re.compile(r"(host(_?name)?|machine|node|vm|device|board|instance)", re.IGNORECASE)
SAMPLE = re.compile(r"(sample|run|session|recording|trace|job)(_?id)?", re.IGNORECASE)
IDENTIFIER = re.compile(r"(.*[._])?(p|port|pid|id|uid)", re.IGNORECASE)
"""Columns of numbers that identify something: left out where rows are events."""

EVENTS_PER_BIN = 20
"""Events in a bin, at the median interval between them."""


@dataclass(frozen=True)
class Draft:
    """The two files as text, and remarks for the person who corrects them."""

    schema: str
    mapping: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Clock:
    column: str
    unit: str
    every_s: float
    events: bool = False
    """Whether rows come at irregular times, so that each is taken for an event."""

    @property
    def step_s(self) -> float:
        """A grid step, in seconds, that holds one row, or about EVENTS_PER_BIN events."""
        least = self.every_s * (EVENTS_PER_BIN if self.events else 0.999)
        return next((step for step in STEPS_S if step >= least), STEPS_S[-1])


def suggest(source: Path) -> Draft:
    """Return drafts for a table or a folder of tables. Raises Refused when no column is a time."""
    paths = [source] if source.is_file() else [p for p in sorted(source.rglob("*")) if p.is_file()]
    paths = [path for path in paths if tables.readable(path)]
    if not paths:
        raise Refused(
            source, "holds no table", f"files ending in {', '.join(tables.ENDINGS)}",
            "Check the path.",
        )  # fmt: skip
    root = source.parent if source.is_file() else source
    names = [path.relative_to(root).as_posix() for path in paths]
    sampled = [tables.read(path) for path in paths[:: -(-len(paths) // FILES)]]
    shared = [c for c in sampled[0].columns if all(c in table.columns for table in sampled)]
    clock = _clock(sampled, shared)
    phase, classes, used = _phase(sampled, shared, names)
    rest = [column for column in shared if column not in (clock.column, used)]
    channels, constant, remarks, texts = [], [], [], []
    for column in rest:
        if TIME.fullmatch(column):
            remarks.append(f"left out, a second time column: {column}")
            continue
        values = [_values(table.columns[column]) for table in sampled]
        if any(value is None for value in values):
            texts.append(column)
            continue
        if clock.events and IDENTIFIER.fullmatch(column):
            remarks.append(f"left out, an identifier: {column}")
            continue
        known = [value for value in values if value is not None and len(value)]
        if all(np.ptp(value) == 0 for value in known):
            constant.append(column)
        else:
            channels.append((column, "event" if clock.events else _kind(known)))
    if constant:
        remarks.append(f"left out, constant in every file: {', '.join(constant)}")
    if not channels:
        raise Refused(source, "no column changes", "a column of numbers", "Check the files.")
    identity = _identity(texts, names, phase)
    remarks += [_text_remark(column, identity, sampled) for column in texts]
    if clock.events:
        channels.append(("", "event"))
        remarks.append(
            "rows come at irregular times: they are taken for events, and summed in bins"
        )
    return Draft(
        _schema(channels, classes, clock),
        _mapping(channels, identity, phase, clock),
        tuple(remarks),
    )


def _text_remark(column: str, identity: dict[str, str], sampled: Sequence[Table]) -> str:
    """Return what becomes of a column of text: the draft takes host or sample from it, or not."""
    uses = [key for key, source in identity.items() if source == _column(column)]
    use = f"used as {' and '.join(uses)}" if uses else "left out, text"
    return f"{use}: {column} ({_examples(sampled, column)})"


def _column(name: str) -> str:
    """Return a column as TOML."""
    return f"{{ column = {_quoted(name)} }}"


def _examples(sampled: Sequence[Table], column: str) -> str:
    found = sorted({cell for table in sampled for cell in table.columns[column]} - {""})
    return f"{len(found)}: {', '.join(found[:3])}{', …' if found[3:] else ''}" if found else "empty"


def _identity(texts: Sequence[str], names: Sequence[str], phase: str) -> dict[str, str]:
    """Return where host and sample may come from, as TOML: a column by its name, or the path."""
    identity = {"host": '"host-1"', "sample": '{ path = "^([^.]+)" }  # the file\'s path'}
    folders = {found[1] for name in names if (found := re.search(FOLDER, name))}
    if len(folders) > 1 and FOLDER not in phase:
        identity["host"] = f"{{ path = {_quoted(FOLDER)} }}"
    for key, pattern in (("host", HOST), ("sample", SAMPLE)):
        for column in texts:
            if pattern.fullmatch(column.rpartition(".")[2]):
                identity[key] = _column(column)
    return identity


def _values(cells: Sequence[str]) -> Floats | None:
    """Return the numbers of a column, or None when it has other text."""
    try:
        return np.array([float(cell) for cell in cells if cell.strip() not in MISSING])
    except ValueError:
        return None


def _kind(values: Sequence[Floats]) -> str:
    """Return "counter" for values that never fall and often rise, otherwise "gauge"."""
    steps = np.concatenate([np.diff(value) for value in values])
    rising = len(steps) > 1 and bool((steps >= 0).all()) and float((steps > 0).mean()) > 0.2
    return "counter" if rising else "gauge"


def _clock(sampled: Sequence[Table], columns: Sequence[str]) -> _Clock:
    """Return the first column whose every value is a time of this century.

    Columns whose names suggest a time are tried first. Raises Refused without one.
    """
    for column in sorted(columns, key=lambda name: not TIME.fullmatch(name)):
        cells = sampled[0].columns[column]
        for unit, scale in (*CLOCKS.items(), ("iso", NS)):
            t = _seconds(cells, scale / NS, unit)
            if t is not None and len(t) > 1:
                steps = np.diff(np.sort(t))
                if not steps.any():
                    return _Clock(column, unit, 1.0)
                low, usual, high = np.quantile(steps[steps > 0], [0.1, 0.5, 0.9])
                return _Clock(column, unit, float(usual), bool(high - low > usual))
    raise Refused(
        sampled[0].path, "no column is a time between the years 2000 and 2100",
        f"Unix time in {', '.join(CLOCKS)}, or ISO dates", "Add a column with each row's time.",
    )  # fmt: skip


def _seconds(cells: Sequence[str], scale: float, unit: str) -> Floats | None:
    """Return Unix seconds, or None when a cell is no time in this unit."""
    try:
        if unit == "iso":
            t = np.array([datetime.fromisoformat(cell).timestamp() for cell in cells])
        else:
            t = np.array([float(cell) for cell in cells]) * scale
    except (ValueError, OverflowError):
        return None
    good = (t >= UNIX_FLOOR_NS / NS) & (t < UNIX_CEILING_NS / NS)
    return t if good.all() else None


def _phase(
    sampled: Sequence[Table], columns: Sequence[str], names: Sequence[str]
) -> tuple[str, list[str], str]:
    """Return the source of the phase as TOML, the classes found, and the column used, if any."""
    for column in columns:
        if PHASE.fullmatch(column):
            cells = sorted({cell for table in sampled for cell in table.columns[column]})
            if 2 <= len(cells) <= MAX_CLASSES:
                return f"column = {_quoted(column)}", _benign_first(cells), column
    ways = []
    for pattern in (FOLDER, FIRST):
        words = [found[1] for name in names if (found := re.search(pattern, name))]
        if len(words) == len(names) and 2 <= len(set(words)) <= MAX_CLASSES:
            ways.append((f"path = {_quoted(pattern)}", _benign_first(sorted(set(words))), ""))
    # Of two ways, prefer the one in which a word means benign.
    for way in sorted(ways, key=lambda way: not BENIGN.search(way[1][0])):
        return way
    return 'value = "benign"', ["benign", "other"], ""


def _benign_first(classes: list[str]) -> list[str]:
    """Return the classes with the one that means benign first, where a name says so."""
    return sorted(classes, key=lambda name: not BENIGN.search(name))


def _quoted(text: str) -> str:
    return json.dumps(text)


def _channel(column: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", column.lower()).strip("_") or "rows"


def _schema(channels: Sequence[tuple[str, str]], classes: Sequence[str], clock: _Clock) -> str:
    step = clock.step_s
    lines = [
        "# CHECK every line marked so. The first class must be the benign one.",
        'name = "draft"',
        f"classes = {json.dumps(list(classes))}  # CHECK",
        '# untested = ["real malware"]  # what no recording contains; every report says so',
        "",
        f"[grid]  # rows come every {clock.every_s:g} s",
        f"window_s = {12 * step:g}",
        f"stride_s = {6 * step:g}",
        f"step_s = {step:g}",
        f"hold_s = {3 * step:g}",
        "",
        "[sources.table]",
        "deployed = true  # CHECK: is it collected outside the machine, where it can be trusted?",
        'meaning = "columns of the tables"',
        "channels = [  # name, unit, kind (gauge, counter, event), meaning; CHECK units and kinds",
        *(
            f'  [{_quoted(_channel(c))}, "1", "{kind}", {_quoted(c or "rows")}],'
            for c, kind in channels
        ),
        "]",
    ]
    return "\n".join(lines) + "\n"


def _mapping(
    channels: Sequence[tuple[str, str]], identity: dict[str, str], phase: str, clock: _Clock
) -> str:
    events = [f"[rows]  # CHECK\nevents_every_s = {clock.step_s:g}", ""] if clock.events else []
    lines = [
        "# CHECK every line marked so; docs/how-to/import.md explains each field.",
        "[files]",
        'pattern = "**/*"',
        "",
        "[time]",
        f"column = {_quoted(clock.column)}",
        f'unit = "{clock.unit}"',
        "",
        *events,
        "[episode]  # CHECK: which machine, which recording, which kind of program",
        *(f"{key} = {source}" for key, source in identity.items()),
        'profile = "recorded"',
        "",
        "[phase]  # CHECK",
        phase,
        "",
        "[channels]",
        *(
            f'"table.{_channel(column)}" = {_quoted(column) if column else "{ rows = true }"}'
            for column, _ in channels
        ),
    ]
    return "\n".join(lines) + "\n"
