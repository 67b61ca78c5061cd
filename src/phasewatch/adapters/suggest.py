"""First drafts of a schema and a mapping, from the data itself, for a person to correct.

What cannot be known from numbers (units, which phase is rest, what a defender sees) is marked
CHECK. A column that stays as it is through every file says nothing but which file it is: it is left
out, and told. So are a second clock, and text. Rows that come at all times are taken for events.
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
"""Files looked at, spread over all there are."""

NICE = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600)
"""Steps in seconds."""

MANY = 20
"""Classes that a column or a name may tell apart and still be of phases."""

TIME = re.compile(r"(date|time|date_?time|ts|time_?stamp|epoch)(_?[mun]?s)?", re.IGNORECASE)
PHASE = re.compile(r"(phase|label|class|attack|behaviou?r|activity|state)s?", re.IGNORECASE)
FOLDER, FIRST = r"^([^/]+)/", r"([^/_.-]+)[^/]*$"
"""Where a path may tell a word: its first folder, and the first word of the file's name."""

CALM = re.compile(r"benign|normal|idle|^0$|none|rest", re.IGNORECASE)
HOST = re.compile(r"(host(_?name)?|machine|node|vm|device|board|instance)", re.IGNORECASE)
SAMPLE = re.compile(r"(sample|run|session|recording|trace|job)(_?id)?", re.IGNORECASE)
NUMBER = re.compile(r"(.*[._])?(p|port|pid|id|uid)", re.IGNORECASE)
"""Numbers that name something and measure nothing: in rows that are events, left out."""

BIN = 20
"""Events in a bin, at the usual interval between them."""


@dataclass(frozen=True)
class Draft:
    """The two files as text, and what a person must know to correct them."""

    schema: str
    mapping: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Clock:
    column: str
    unit: str
    every_s: float
    events: bool = False
    """Rows come at all times: each is taken for something that happened."""

    @property
    def step_s(self) -> float:
        """A step that holds a row, or some twenty events."""
        least = self.every_s * (BIN if self.events else 0.999)
        return next((nice for nice in NICE if nice >= least), NICE[-1])


def suggest(source: Path) -> Draft:
    """Drafts from a table or a folder of them. Raises Refused when no column is a time."""
    paths = [source] if source.is_file() else [p for p in sorted(source.rglob("*")) if p.is_file()]
    paths = [path for path in paths if tables.readable(path)]
    if not paths:
        raise Refused(
            source, "holds no table", f"files ending in {', '.join(tables.ENDINGS)}",
            "Check the path.",
        )  # fmt: skip
    root = source.parent if source.is_file() else source
    names = [path.relative_to(root).as_posix() for path in paths]
    looked = [tables.table(path) for path in paths[:: -(-len(paths) // FILES)]]
    shared = [c for c in looked[0].columns if all(c in table.columns for table in looked)]
    clock = _clock(looked, shared)
    told, classes, left = _phase(looked, shared, names)
    rest = [column for column in shared if column not in (clock.column, left)]
    channels, constant, remarks, texts = [], [], [], []
    for column in rest:
        if TIME.fullmatch(column):
            remarks.append(f"left out, another clock: {column}")
            continue
        values = [_values(table.columns[column]) for table in looked]
        if any(value is None for value in values):
            texts.append(column)
            remarks.append(f"left out, text: {column} ({_examples(looked, column)})")
            continue
        if clock.events and NUMBER.fullmatch(column):
            remarks.append(f"left out, names something: {column}")
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
    who = _who(texts, names, told)
    if clock.events:
        channels.append(("", "event"))
        remarks.append("rows come at all times: they are taken for events, and added up")
    return Draft(
        _schema(channels, classes, clock), _mapping(channels, who, told, clock), tuple(remarks)
    )


def _examples(looked: Sequence[Table], column: str) -> str:
    found = sorted({cell for table in looked for cell in table.columns[column]} - {""})
    return f"{len(found)}: {', '.join(found[:3])}{', …' if found[3:] else ''}" if found else "empty"


def _who(texts: Sequence[str], names: Sequence[str], phase: str) -> dict[str, str]:
    """What may tell machine and recording apart, as TOML: a column by its name, or the path."""
    who = {"host": '"host-1"', "sample": '{ path = "^([^.]+)" }  # the file\'s path'}
    folders = {found[1] for name in names if (found := re.search(FOLDER, name))}
    if len(folders) > 1 and FOLDER not in phase:
        who["host"] = f"{{ path = {_quoted(FOLDER)} }}"
    for key, pattern in (("host", HOST), ("sample", SAMPLE)):
        for column in texts:
            if pattern.fullmatch(column.rpartition(".")[2]):
                who[key] = f"{{ column = {_quoted(column)} }}"
    return who


def _values(cells: Sequence[str]) -> Floats | None:
    """A column's numbers, or None when it has something else."""
    try:
        return np.array([float(cell) for cell in cells if cell.strip() not in MISSING])
    except ValueError:
        return None


def _kind(values: Sequence[Floats]) -> str:
    """A running total never falls and mostly rises; all else is taken for a gauge."""
    steps = np.concatenate([np.diff(value) for value in values])
    rising = len(steps) > 1 and bool((steps >= 0).all()) and float((steps > 0).mean()) > 0.2
    return "counter" if rising else "gauge"


def _clock(looked: Sequence[Table], columns: Sequence[str]) -> _Clock:
    """The first column whose every value is a time of our days; a name that says so goes first."""
    for column in sorted(columns, key=lambda name: not TIME.fullmatch(name)):
        cells = looked[0].columns[column]
        for unit, scale in (*CLOCKS.items(), ("iso", NS)):
            t = _seconds(cells, scale / NS, unit)
            if t is not None and len(t) > 1:
                steps = np.diff(np.sort(t))
                if not steps.any():
                    return _Clock(column, unit, 1.0)
                low, usual, high = np.quantile(steps[steps > 0], [0.1, 0.5, 0.9])
                return _Clock(column, unit, float(usual), bool(high - low > usual))
    raise Refused(
        looked[0].path, "no column is a time between the years 2000 and 2100",
        f"Unix time in {', '.join(CLOCKS)}, or ISO dates", "Add a column with each row's time.",
    )  # fmt: skip


def _seconds(cells: Sequence[str], scale: float, unit: str) -> Floats | None:
    """Unix seconds, or None when a cell is none in this unit."""
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
    looked: Sequence[Table], columns: Sequence[str], names: Sequence[str]
) -> tuple[str, list[str], str]:
    """What tells the phase as TOML, the classes found, and the column used, if one was."""
    for column in columns:
        if PHASE.fullmatch(column):
            cells = sorted({cell for table in looked for cell in table.columns[column]})
            if 2 <= len(cells) <= MANY:
                return f"column = {_quoted(column)}", _rest_first(cells), column
    ways = []
    for pattern in (FOLDER, FIRST):
        words = [found[1] for name in names if (found := re.search(pattern, name))]
        if len(words) == len(names) and 2 <= len(set(words)) <= MANY:
            ways.append((f"path = {_quoted(pattern)}", _rest_first(sorted(set(words))), ""))
    # Of two ways, the one whose words have a word for rest.
    for way in sorted(ways, key=lambda way: not CALM.search(way[1][0])):
        return way
    return 'value = "benign"', ["benign", "other"], ""


def _rest_first(classes: list[str]) -> list[str]:
    """The class that means rest goes first, where a name says so."""
    return sorted(classes, key=lambda name: not CALM.search(name))


def _quoted(text: str) -> str:
    return json.dumps(text)


def _channel(column: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", column.lower()).strip("_") or "rows"


def _schema(channels: Sequence[tuple[str, str]], classes: Sequence[str], clock: _Clock) -> str:
    step = clock.step_s
    lines = [
        '# CHECK every line marked so. The first class is rest: what "benign" is elsewhere.',
        'name = "draft"',
        f"classes = {json.dumps(list(classes))}  # CHECK",
        '# untested = ["real malware"]  # what no recording holds: every report says so',
        "",
        f"[grid]  # rows come every {clock.every_s:g} s",
        f"window_s = {12 * step:g}",
        f"stride_s = {6 * step:g}",
        f"step_s = {step:g}",
        f"hold_s = {3 * step:g}",
        "",
        "[sources.table]",
        "deployed = true  # CHECK: does a defender outside the machine see it, and trust it?",
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
    channels: Sequence[tuple[str, str]], who: dict[str, str], phase: str, clock: _Clock
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
        "[episode]  # CHECK: what tells machine, recording and kind of program apart",
        *(f"{key} = {told}" for key, told in who.items()),
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
