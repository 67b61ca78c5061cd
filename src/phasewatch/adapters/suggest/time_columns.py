"""Which column holds the time of a row, and how it is written.

A name or the form of a date decides. A number that could be Unix time is not enough: free memory in
bytes and serial numbers are as large. Without either the user is asked, and shown every column.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from phasewatch.adapters.clock import Clock, Times, plausible_unit
from phasewatch.adapters.dates import Bools, parse, pattern
from phasewatch.adapters.suggest.columns import dates
from phasewatch.adapters.suggest.columns.words import lexicon, words
from phasewatch.adapters.suggest.sample import Sample
from phasewatch.episode import Floats
from phasewatch.errors import Refused
from phasewatch.schema import NS

EXACT = ("timestamp", "time", "ts", "datetime", "date_time", "epoch", "unixtime", "unix_time")
NAMED = lexicon(
    """
    time timestamp timestamps ts datetime date epoch unixtime utc when clock stime ltime
    starttime eventtime calendartime timecreated timegenerated logtime
    """
)
"""Words of a column of times."""

DURATION = lexicon(
    """
    cpu response run up idle wait elapsed duration interval total user system busy delta
    seconds diff mean avg max min timeout uptime runtime spent per rate read write io queue
    service stop end mounted to live
    """
)
"""Words beside "time" that make it a length of time."""

PERFMON = re.compile(r"\(PDH-CSV [\d.]+\) \(.*\)\((?P<behind>-?\d+)\)")
"""The name that Windows gives the column of times; the number is the minutes behind UTC."""

DIGITS = re.compile(r"20\d{12}")
"""A date and time without separators."""

CHECKED = 2_000
"""Cells of a column that are looked at."""

UNKNOWN = "?"
"""An answer that the draft leaves open."""

DAY_S, FEW_DAYS, MANY_DAYS = 86_400, 3.0, 20.0

SOME_DAY = "2020-01-01"
"""The date by which times without one are measured, until the user says it."""


@dataclass(frozen=True)
class Found:
    """A clock that fits all rows: its lines of TOML, and what is open or worth knowing.

    `rank` orders several clocks, the surest first.
    """

    clock: Clock
    rank: int
    lines: tuple[str, ...]
    question: bool = False
    naive: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the clock."""
        return self.clock.columns


def choose(sample: Sample, told: str = "", day_first: bool = False) -> tuple[Found, list[Found]]:
    """Return the clock of a sample, and the other columns that are times.

    `told` is the column that the user names; `day_first` whether files of this kind are known to
    write days before months. Raises Refused, showing each column, where none is a time by its name
    or form.
    """
    columns = [told] if told else sample.columns
    if told and told not in sample.columns:
        raise Refused(
            sample.source, f"has no column {told}", f"one of {', '.join(sample.columns[:8])}",
            "Correct --time.",
        )  # fmt: skip
    found = [one for name in columns for one in _of_column(sample, name, bool(told), day_first)]
    found += [] if told else list(_of_two(sample))
    changing = [one for one in found if _changes(sample, one)] or found
    if not changing:
        raise _refused(sample, told)
    ordered = sorted(changing, key=lambda one: (one.question, one.rank))
    return ordered[0], [one for one in found if one is not ordered[0]]


def _cells(sample: Sample, column: str) -> list[str]:
    """Return some cells of a column that are not empty, from its begin and its end."""
    cells = [cell for cell in sample.every(column) if cell]
    return cells if len(cells) <= CHECKED else cells[: CHECKED // 2] + cells[-CHECKED // 2 :]


def _changes(sample: Sample, found: Found) -> bool:
    """Return whether a clock has more than one time."""
    return any(len(set(sample.every(column))) > 1 for column in found.columns)


def _of_column(sample: Sample, name: str, told: bool, day_first: bool) -> Iterator[Found]:
    """Yield the clock that one column is, if it is one."""
    cells = _cells(sample, name)
    filled = sum(1 for cell in sample.every(name) if cell)
    if len(cells) < 2 or filled < 0.9 * len(sample.every(name)):
        return
    rank = 0 if told else rank_of(name)
    if perfmon := PERFMON.search(name):
        yield from _perfmon(name, cells, -int(perfmon["behind"]))
    elif unit := _unix(cells):
        if rank < 2:
            yield Found(Clock((name,), unit), rank, (f'unit = "{unit}"',))
    elif form := dates.form(cells):
        yield _dated((name,), _decided(form, cells, day_first), min(rank, 2))
    elif rank < 2 and all(DIGITS.fullmatch(cell) for cell in cells):
        yield _dated((name,), dates.Form("%Y%m%d%H%M%S"), rank)
    elif all(dates.TIME_OF_DAY.fullmatch(cell) for cell in cells):
        yield _of_day(name, rank)
    elif rank < 2 and (unit := _relative(name, cells, told)):
        line = f'start = "{UNKNOWN}"  # CHECK the date and time at which {name} is 0'
        clock = Clock((name,), unit, start=SOME_DAY)
        yield Found(clock, rank, (f'unit = "{unit}"', line), question=True)
    elif day := dates.day_form(cells):
        yield _dated((name,), day, rank + 1) if not day.format else _daily(name, day, rank)


def _unix(cells: Sequence[str]) -> str:
    """Return the unit in which all cells are Unix times of this century; empty for none."""
    units = {plausible_unit(cell) for cell in cells}
    return units.pop() if len(units) == 1 else ""


def _daily(name: str, form: dates.Form, rank: int) -> Found:
    """Return the clock of a column of dates without hours."""
    short, other = (one.removesuffix(" %H:%M") for one in (form.format, form.other))
    return _dated((name,), dates.Form(short, other), rank + 1)


def rank_of(name: str) -> int:
    """Return 0 for the usual names of a clock, 1 for others that say time, 3 for other names."""
    last = name.rpartition(".")[2].lower().strip("@_# ")
    parts = words(name.rpartition(".")[2])
    if last in EXACT:
        return 0
    return 1 if NAMED & set(parts) and not DURATION & set(parts) else 3


def _decided(form: dates.Form, cells: Sequence[str], day_first: bool) -> dates.Form:
    """Return a form without the second format where the kind of file or the dates decide.

    Of dates of several days, the right format leaves no gap of weeks.
    """
    if not form.other or day_first:
        return replace(form, other="")
    gaps = []
    for format in (form.format, form.other):
        t_ns, _, bad = parse(pa.array(cells), pattern(format))
        steps = np.diff(np.unique(t_ns[~bad])) / NS / DAY_S
        gaps.append(float(steps.max(initial=0.0)))
    if gaps[0] < FEW_DAYS and gaps[1] > MANY_DAYS:
        return replace(form, other="")
    if gaps[1] < FEW_DAYS and gaps[0] > MANY_DAYS:
        return replace(form, format=form.other, other="")
    return form


def _dated(columns: tuple[str, ...], form: dates.Form, rank: int) -> Found:
    """Return the clock of columns of dates; a question where day and month may be swapped."""
    if not form.format:
        return Found(Clock(columns, "iso"), rank, ('unit = "iso"',), naive=not form.zoned)
    clock = Clock(columns, format=form.format)
    if form.other:
        line = (
            f'format = "{UNKNOWN}"  # CHECK "{form.format}" (day first) or "{form.other}" '
            "(month first)"
        )
        return Found(clock, rank, (line,), question=True, naive=not form.zoned)
    return Found(clock, rank, (f'format = "{clock.format}"',), naive=not form.zoned)


def _perfmon(name: str, cells: Sequence[str], ahead_min: int) -> Iterator[Found]:
    """Yield the clock of Windows' performance monitor: month first, in the zone of the header."""
    form = dates.form(cells)
    if form is None:
        return
    sign = "-" if ahead_min < 0 else "+"
    zone = f"{sign}{abs(ahead_min) // 60:02}:{abs(ahead_min) % 60:02}"
    zone = "UTC" if not ahead_min else zone
    format = form.other or form.format
    clock = Clock((name,), "" if format else "iso", format=format, zone=zone)
    written = f'format = "{format}"' if format else 'unit = "iso"'
    yield Found(clock, 0, (written, f'zone = "{zone}"'))


def _of_day(name: str, rank: int) -> Found:
    """Return the clock of times of day, whose date is a question."""
    line = f'start = "{UNKNOWN}"  # CHECK the date of the first row, such as 2026-11-01'
    clock = Clock((name,), "clock", start=SOME_DAY)
    return Found(clock, min(rank, 2), ('unit = "clock"', line), question=True, naive=True)


def _relative(name: str, cells: Sequence[str], told: bool) -> str:
    """Return the unit of numbers that count from a start; empty where they do not.

    They never fall, and begin near 0 unless the user says that they are times.
    """
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        return ""
    if not np.isfinite(numbers).all() or (np.diff(numbers) < 0).any() or numbers[0] < 0:
        return ""
    steps = np.diff(np.unique(numbers))
    if not len(steps) or (not told and numbers[0] > 100 * float(np.median(steps)) + 10):
        return ""
    parts = words(name)
    return next((unit for unit in ("ms", "us", "ns") if unit in parts), "s")


def _of_two(sample: Sample) -> Iterator[Found]:
    """Yield the clock that a column of dates and one of times of day are together."""
    days = [name for name in sample.columns if dates.day_form(_cells(sample, name))]
    times = [
        name
        for name in sample.columns
        if (cells := _cells(sample, name))
        and all(dates.TIME_OF_DAY.fullmatch(cell) for cell in cells)
    ]
    for day, time in zip(days[:1], times[:1], strict=False):
        pairs = zip(_cells(sample, day), _cells(sample, time), strict=False)
        both = [f"{one} {other}" for one, other in pairs]
        if form := dates.form(both):
            yield _dated((day, time), _decided(form, both, False), 0)


def seconds(sample: Sample, clock: Clock) -> list[Floats]:
    """Return the Unix seconds of each part's rows, NaN for those without a time."""
    found = []
    for place, part in enumerate(sample.parts):
        texts = [pa.array(sample.cells(column)[place], pa.string()) for column in clock.columns]
        rows = len(part.table)
        lines, hosts = np.arange(rows), np.zeros(rows, dtype=np.int64)
        t_ns, bad = Times(clock, part.name).read(texts, lines, hosts)
        found.append(np.where(bad, np.nan, t_ns / NS))
    return found


def summer_time(seconds: Floats) -> Floats | None:
    """Return wall times without the hour that is lost or comes twice where the clocks change.

    `seconds` are those of one machine, in the order of the rows. None where no clock changes.
    """
    steps = np.diff(seconds)
    forward = steps[steps > 0]
    if len(forward) < 3:
        return None
    usual = float(np.median(forward))
    back = np.isclose(steps, usual - 3600, atol=max(1.0, usual / 2))
    lost = np.isclose(steps, usual + 3600, atol=max(1.0, usual / 10)) & (usual < 1800)
    odd = np.flatnonzero(steps > 1.5 * usual)
    if back.sum() == 1 or (lost.sum() == 1 and len(odd) == 1 and _changes_clocks(seconds, lost)):
        shift = 3600.0 * back if back.sum() == 1 else -3600.0 * lost
        moved: Floats = seconds + np.concatenate([[0.0], np.cumsum(shift)])
        return moved
    return None


def _changes_clocks(seconds: Floats, lost: Bools) -> bool:
    """Return whether the hour before a gap ends where clocks change: on a Sunday, at night."""
    before = float(seconds[int(np.flatnonzero(lost)[0])])
    day, of_day = divmod(before, 86_400)
    return int(day + 4) % 7 == 0 and of_day < 4 * 3600


def _refused(sample: Sample, told: str) -> Refused:
    """Return the refusal of a sample without a clock, which shows each column's first cells."""
    shown = "; ".join(
        f"{name}: {', '.join(dict.fromkeys(_cells(sample, name)[:2])) or 'empty'}"
        for name in ([told] if told else sample.columns[:12])
    )
    more = f"; and {len(sample.columns) - 12} more" if len(sample.columns) > 12 and not told else ""
    return Refused(
        sample.parts[0].name,
        f"no column is a time by its name or form ({shown}{more})" if not told
        else f"{told} is no time ({shown})",
        "Unix time, or dates with a time of day",
        "Name the column with --time COLUMN, or add one with each row's time." if not told
        else "Name another column with --time.",
    )  # fmt: skip
