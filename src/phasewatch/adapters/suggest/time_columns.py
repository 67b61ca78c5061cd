"""Which column holds the time of a row, and how it is written.

A name or the form of a date decides. A number that could be Unix time is not enough: free memory in
bytes and serial numbers are as large. Without either the user is asked, and shown every column.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from phasewatch.adapters.clock import Clock, Times, plausible_unit
from phasewatch.adapters.dates import Bools, parse, pattern
from phasewatch.adapters.suggest.columns import dates, labels
from phasewatch.adapters.suggest.columns.words import lexicon, words
from phasewatch.adapters.suggest.sample import Sample
from phasewatch.episode import Floats
from phasewatch.errors import Refused
from phasewatch.schema import NS, QUESTION

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

SINCE = lexicon("t elapsed seconds secs sec s offset since start begin ms millis us ns relative")
"""Words of a column that counts from a start, of which it has no others."""

STARTS = lexicon("start started begin begins begun first onset t")
"""Words of a column with the time at which a row of a table of stretches or flows begins."""

PERFMON = re.compile(r"\(PDH-CSV [\d.]+\) \(.*\)\((?P<behind>-?\d+)\)")
"""The name that Windows gives the column of times; the number is the minutes behind UTC."""

SERIAL_DAYS = (20_000, 80_000)
"""Numbers of days since 1900, as spreadsheets write dates of 1954 to 2119: no seconds."""

DIGITS = re.compile(r"20\d{12}")
"""A date and time without separators."""

DAY_DIGITS, TIME_DIGITS = re.compile(r"20\d\d[01]\d[0-3]\d"), re.compile(r"[0-2]\d[0-5]\d[0-5]\d")
"""A date, and a time of day, without separators."""

FIELDS = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S"}
FIELD = re.compile(r"\d{1,4}")
"""Columns of the parts of a date, in order, with the directive of each; and what they hold."""

HOUR = re.compile(r"(?:^|[T ])(\d{1,2}):\d\d")
"""The hour in a date and time, or in a time of day."""

CHECKED = 2_000
"""Cells of a column that are looked at."""

MOST_WORDS = 0.01
"""The share of cells without a digit, such as "Average:" below a table, that a clock may have."""

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
    if not changing and not told:
        changing = [one for name in columns for one in _without_name(sample, name)]
    if not changing:
        raise _refused(sample, told)
    ordered = sorted(changing, key=lambda one: (one.question, one.rank))
    _refuse_half_days(sample, ordered[0])
    return ordered[0], [one for one in found if one is not ordered[0]]


def _refuse_half_days(sample: Sample, found: Found) -> None:
    """Raise Refused for dates whose hours go from 12 to 1 without saying which half of the day."""
    if "%H" not in found.clock.format and found.clock.unit != "iso":
        return
    hours = [
        int(one[1]) for cell in _cells(sample, found.columns[-1]) if (one := HOUR.search(cell))
    ]
    falls = any(a == 12 and b == 1 for a, b in itertools.pairwise(hours))
    if falls and min(hours) >= 1 and max(hours) <= 12:
        raise Refused(
            sample.parts[0].name, f"{found.columns[-1]} goes from hour 12 to hour 1",
            "hours of 0 to 23, or AM and PM beside them", "Write times so.",
        )  # fmt: skip


def _cells(sample: Sample, column: str) -> list[str]:
    """Return some cells of a column that are not empty, from its begin and its end.

    Words are left out where they are few: `import` drops such rows, and says so.
    """
    cells = [cell for cell in sample.every(column) if cell]
    digits = [cell for cell in cells if any(map(str.isdigit, cell))]
    if len(cells) - len(digits) <= max(1, MOST_WORDS * len(cells)):
        cells = digits
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
    elif all((one := dates.TIME_OF_DAY.fullmatch(cell)) and not one["half"] for cell in cells):
        yield _of_day(name, rank)
    elif rank < 2 and (unit := _relative(name, cells, told)):
        yield _since(name, unit, rank)
    elif day := dates.day_form(cells):
        yield _dated((name,), day, rank + 1) if not day.format else _daily(name, day, rank)


def _without_name(sample: Sample, name: str) -> Iterator[Found]:
    """Yield the clock that a column is by its numbers and a name that others have as well."""
    cells, parts = _cells(sample, name), set(words(name))
    if parts & STARTS and (unit := _unix(cells)):
        yield Found(Clock((name,), unit), 2, (f'unit = "{unit}"',))
    elif parts <= SINCE and len(cells) > 2 and (unit := _relative(name, cells, False)):
        yield _since(name, unit, 2)


def _since(name: str, unit: str, rank: int) -> Found:
    """Return the clock of numbers that count from a start, which is a question."""
    line = f'start = "{QUESTION}"  # CHECK the date and time at which {name} is 0'
    clock = Clock((name,), unit, start=SOME_DAY)
    return Found(clock, rank, (f'unit = "{unit}"', line), question=True)


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
            f'format = "{QUESTION}"  # CHECK "{form.format}" (day first) or "{form.other}" '
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
    line = f'start = "{QUESTION}"  # CHECK the date of the first row, such as 2026-11-01'
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
    if SERIAL_DAYS[0] < numbers[0] < SERIAL_DAYS[1] and float(np.median(steps)) < 1:
        return ""
    parts = words(name)
    return next((unit for unit in ("ms", "us", "ns") if unit in parts), "s")


def _of_two(sample: Sample) -> Iterator[Found]:
    """Yield the clock that a column of dates and one of times of day are together."""
    days = [name for name in sample.columns if dates.day_form(_cells(sample, name))]
    times = [name for name in sample.columns if _all(sample, name, dates.TIME_OF_DAY)]
    for day, time in zip(days[:1], times[:1], strict=False):
        pairs = zip(sample.every(day), sample.every(time), strict=True)
        both = [f"{one} {other}" for one, other in pairs if dates.TIME_OF_DAY.fullmatch(other)]
        if form := dates.form(both):
            yield _dated((day, time), _decided(form, both, False), -1)
    days, times = (
        [name for name in sample.columns if rank_of(name) < 2 and _all(sample, name, digits)]
        for digits in (DAY_DIGITS, TIME_DIGITS)
    )
    for day, time in zip(days[:1], times[:1], strict=False):
        yield _dated((day, time), dates.Form("%Y%m%d %H%M%S"), -1)
    yield from _of_fields(sample)


def _of_fields(sample: Sample) -> Iterator[Found]:
    """Yield the clock of columns for year, month, day and so on, or of a date and an hour."""
    named = {name.lower(): name for name in sample.columns}
    fields = [field for field in FIELDS if field in named and _all(sample, named[field], FIELD)]
    if fields[:3] == ["year", "month", "day"]:
        known = list(itertools.takewhile(lambda pair: pair[0] in fields, FIELDS.items()))
        format = " ".join(directive for _, directive in known)
        yield _dated(tuple(named[field] for field, _ in known), dates.Form(format), -1)
    days = [name for name in sample.columns if rank_of(name) < 2 and _all(sample, name, dates.DAY)]
    if "hour" in fields and days:
        form = dates.day_form(_cells(sample, days[0]))
        if form and not form.other:
            format = (form.format or "%Y-%m-%d %H:%M").removesuffix(":%M")
            yield _dated((days[0], named["hour"]), dates.Form(format), -1)


def _all(sample: Sample, name: str, pattern: re.Pattern[str]) -> bool:
    """Return whether all cells of a column that hold a digit have a form."""
    cells = _cells(sample, name)
    return bool(cells) and all(map(pattern.fullmatch, cells))


def seconds(sample: Sample, clock: Clock) -> list[Floats]:
    """Return the Unix seconds of each part's rows, NaN for those without a time."""
    found = []
    for place, part in enumerate(sample.parts):
        texts = [pa.array(sample.cells(column)[place], pa.string()) for column in clock.columns]
        rows = len(part.table)
        lines, hosts = np.arange(rows), np.zeros(rows, dtype=np.int64)
        t_ns, bad = Times(clock, part.name).read(texts, lines, hosts)
        found.append(np.where(bad, np.nan, t_ns / NS))
    if found and not any(np.isfinite(one).any() for one in found):
        name = "+".join(clock.columns)
        raise Refused(
            sample.parts[0].name, f"{name} is no time that can be read in {clock.written}",
            "Unix time, or dates with a time of day", "Name another column with --time.",
        )  # fmt: skip
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
        f"{name[:30]}: {', '.join(one[:30] for one in dict.fromkeys(_cells(sample, name)[:2]))}"
        for name in ([told] if told else sample.columns[:12])
    )
    more = f"; and {len(sample.columns) - 12} more" if len(sample.columns) > 12 and not told else ""
    return Refused(
        sample.parts[0].name,
        f"no column is a time by its name or form ({shown}{more})" if not told
        else f"{told} is no time ({shown})",
        "Unix time, or dates with a time of day", _remedy(sample, told),
    )  # fmt: skip


def _remedy(sample: Sample, told: str) -> str:
    """Return what to do where no column is a time."""
    first = {name: cells[0] for name in sample.columns if (cells := _cells(sample, name)[:1])}
    if told:
        return "Name another column with --time."
    if any(cell.startswith(("[{", "[[")) for cell in first.values()):
        return "Write an object for each row, with jq for example: these hold lists of rows."
    if serial := [name for name, cell in first.items() if rank_of(name) < 2 and _serial(cell)]:
        return f"Write {serial[0]} as dates: these are days since 1900, as spreadsheets count them."
    return "Name the column with --time COLUMN, or add one with each row's time."


def _serial(cell: str) -> bool:
    """Return whether a number is that of a day and its time, as spreadsheets store dates."""
    return labels.is_number(cell) and SERIAL_DAYS[0] < float(cell) < SERIAL_DAYS[1]
