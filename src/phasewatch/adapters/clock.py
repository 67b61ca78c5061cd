"""How the times of a table are written, and the Unix time of every row.

Times are Unix time in a unit, dates by ISO 8601 or by a format, times of day that follow a date, or
times since a start. Dates without a zone are in the zone that the mapping names, or in UTC. The
hour that comes twice when summer time ends is told apart by the order of the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from phasewatch.adapters import dates
from phasewatch.adapters.dates import Bools
from phasewatch.episode import UNIX_CEILING_NS, UNIX_FLOOR_NS, Ints
from phasewatch.errors import Refused
from phasewatch.io import fields
from phasewatch.schema import NS

CLOCKS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds in each unit of numbers; the other units are "iso", for dates, and "clock"."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_NS = 86_400 * NS
QUARTER_NS = 900 * NS
"""A quarter of an hour: within one, the offset of every zone is the same."""

TIME_OF_DAY = r"^\s*(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9})\d*)?)?\s*$"


@dataclass(frozen=True)
class Clock:
    """How times are written: the columns that make one, and the unit or format of their text.

    The texts of several columns are joined by a blank. `zone` is that of dates which name none;
    `start` the date from which numbers or times of day count. Times are rounded to multiples of
    `round_ns`, where that is not 0.
    """

    columns: tuple[str, ...]
    unit: str = ""
    format: str = ""
    zone: str = ""
    start: str = ""
    round_ns: int = 0

    @property
    def written(self) -> str:
        """How times are written, for messages."""
        return self.format or self.unit


def compile_format(format: str) -> str:
    """Return the regular expression of a format of dates. Raises the error of a field."""
    try:
        return dates.pattern(format)
    except ValueError as error:
        expected = "a format of dates such as %d/%m/%Y %H:%M:%S"
        raise fields.wrong(f"is {format!r}: {error}", expected, "format") from error


def parse_zone(name: str) -> tzinfo:
    """Return a zone by its name or its offset, such as "+02:00". Raises the error of a field."""
    if name[0] in "+-" and name[1:].replace(":", "").isdigit():
        return timezone(timedelta(seconds=dates.offset_s(name)))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        expected = "a zone such as Europe/Berlin, UTC or +02:00"
        raise fields.wrong(f"is {name!r}", expected, "zone") from error


def parse_start(text: str) -> datetime:
    """Return the date from which times count. Raises the error of a field."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise fields.wrong(f"is {text!r}", "a date such as 2026-11-01T10:00:00", "start") from error


def unix_ns(text: str, unit: str) -> int:
    """Return the Unix ns of a time as text; a date without a zone is in UTC.

    Raises ValueError or ArithmeticError for a text that is no time in the unit.
    """
    if unit != "iso":
        return int(Decimal(text) * CLOCKS[unit])
    return _since_epoch(datetime.fromisoformat(text))


def _since_epoch(when: datetime) -> int:
    """Return the Unix ns of a date; one without a zone is in UTC."""
    since = (when if when.tzinfo else when.replace(tzinfo=UTC)) - EPOCH
    return since // timedelta(microseconds=1) * 1000


def plausible_unit(text: str) -> str:
    """Return the unit in which a number is a time of this century; empty for none, and a date."""
    try:
        number = Decimal(text)
    except ArithmeticError:
        return ""
    if not number.is_finite():
        return ""
    units = (unit for unit, ns in CLOCKS.items() if UNIX_FLOOR_NS <= number * ns < UNIX_CEILING_NS)
    return next(units, "")


@dataclass
class _Stretch:
    """The rows of one host in an hour that comes twice: the last time, and how often it fell."""

    last_ns: int
    line: int
    falls: int = 0


@dataclass
class Times:
    """Reads the times of one file, batch by batch, in the order of its rows.

    `file` names it in messages. The order of rows matters for times of day, which fall at midnight,
    and for the hour that comes twice.
    """

    clock: Clock
    file: object
    _zone: tzinfo | None = None
    _start_ns: int = 0
    _offsets: dict[int, tuple[int, int]] = field(default_factory=dict)
    _twice: dict[tuple[int, int], _Stretch] = field(default_factory=dict)
    _days: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the zone and the start that the clock names."""
        if self.clock.zone:
            self._zone = parse_zone(self.clock.zone)
        if self.clock.start:
            when = parse_start(self.clock.start)
            if self.clock.unit == "clock":
                when = datetime(when.year, when.month, when.day)
            elif not when.tzinfo and self._zone:
                when = when.replace(tzinfo=self._zone)
            self._start_ns = _since_epoch(when)

    @property
    def ordered(self) -> bool:
        """Whether the order of the rows of each host matters."""
        return self._zone is not None or self.clock.unit == "clock"

    def read(self, texts: Sequence[Any], lines: Ints, hosts: Ints) -> tuple[Ints, Bools]:
        """Return Unix ns of rows, and which rows have no time. Raises Refused as below.

        `texts` are the columns of the clock as Arrow arrays, `hosts` a number for the host of each
        row. A time outside 2000 to 2100 is refused, and so is an hour that comes twice of which
        the order of rows does not say which it is.
        """
        t_ns, bad = self._parse(texts, lines, hosts)
        if self.clock.round_ns:
            step = self.clock.round_ns
            t_ns = (t_ns + step // 2) // step * step
        implausible = ~bad & ((t_ns < UNIX_FLOOR_NS) | (t_ns >= UNIX_CEILING_NS))
        if implausible.any():
            self._refuse(texts, lines, int(np.flatnonzero(implausible)[0]))
        return t_ns, bad

    def _parse(self, texts: Sequence[Any], lines: Ints, hosts: Ints) -> tuple[Ints, Bools]:
        """Return Unix ns of rows, and which rows have no time."""
        joined = _joined(texts)
        if self.clock.unit in CLOCKS:
            t_ns, bad = _numbers(joined, self.clock.unit)
            return t_ns + self._start_ns, bad
        if self.clock.unit == "clock":
            wall, bad = _times_of_day(joined)
            wall = wall + self._start_ns + DAY_NS * self._days_passed(wall, bad, lines, hosts)
            named = np.zeros(len(wall), dtype=bool)
        elif self.clock.format:
            wall, named, bad = dates.parse(joined, compile_format(self.clock.format))
        else:
            wall, named, bad = _iso(joined)
        return self._to_utc(wall, named, bad, lines, hosts)

    def _days_passed(self, wall: Ints, bad: Bools, lines: Ints, hosts: Ints) -> Ints:
        """Return how many midnights lie before each row: there, times of day fall by half a day.

        Raises Refused where they fall by less: the rows are in no order, or half a day is missing.
        """
        passed = np.zeros(len(wall), dtype=np.int64)
        for host in np.unique(hosts):
            rows = np.flatnonzero((hosts == host) & ~bad)
            if not len(rows):
                continue
            last, days = self._days.get(int(host), (int(wall[rows[0]]), 0))
            steps = np.diff(np.concatenate([[last], wall[rows]]))
            falls = steps < -DAY_NS // 2
            for row in rows[(steps < 0) & ~falls][:1]:
                raise Refused(
                    f"{self.file}: line {lines[row]}: {'+'.join(self.clock.columns)}",
                    f"falls by {-int(steps[rows == row][0]) / NS:,.0f} s, and names no day",
                    "times of day in their order, without a gap of half a day",
                    "Sort the rows, or give each a date.",
                    code="time_of_day",
                )
            passed[rows] = days + np.cumsum(falls)
            self._days[int(host)] = int(wall[rows[-1]]), int(passed[rows[-1]])
        return passed

    # ------------------------------------------------------------ zones

    def _to_utc(
        self, wall: Ints, named: Bools, bad: Bools, lines: Ints, hosts: Ints
    ) -> tuple[Ints, Bools]:
        """Return the Unix ns of wall times, and which rows have none; some name their zone."""
        if self._zone is None:
            return wall, bad
        quarters, places = np.unique(wall // QUARTER_NS, return_inverse=True)
        pairs = np.array([self._pair(int(one)) for one in quarters], dtype=np.int64).reshape(-1, 2)
        first, second = pairs[places, 0], pairs[places, 1]
        open_rows = ~named & ~bad
        later = np.zeros(len(wall), dtype=bool)
        for row in np.flatnonzero(open_rows & (first > second)):
            later[row] = self._second_time(int(wall[row]), int(lines[row]), int(hosts[row]))
        shift = np.where(named, 0, np.where(later, second, first))
        return wall - shift, bad | (open_rows & (first < second))

    def _pair(self, quarter: int) -> tuple[int, int]:
        """Return the offsets, in ns, of a wall time: before a change of the clock, and after it.

        The first is larger where the wall time comes twice, and smaller where it never comes.
        """
        if quarter not in self._offsets:
            try:
                when = datetime(1970, 1, 1) + timedelta(seconds=quarter * 900)
                pair = [when.replace(tzinfo=self._zone, fold=fold).utcoffset() for fold in (0, 1)]
            except OverflowError:
                pair = [timedelta(0)] * 2
            first, second = (round((one or timedelta(0)).total_seconds()) * NS for one in pair)
            self._offsets[quarter] = first, second
        return self._offsets[quarter]

    def _second_time(self, wall_ns: int, line: int, host: int) -> bool:
        """Return whether a wall time that comes twice is the second: times fell before it."""
        stretch = self._twice.setdefault((host, wall_ns // DAY_NS), _Stretch(wall_ns, line))
        if stretch.last_ns - wall_ns >= 2 * QUARTER_NS:
            stretch.falls += 1
        stretch.last_ns, stretch.line = wall_ns, line
        if stretch.falls > 1:
            raise self._undecided(line)
        return stretch.falls == 1

    def close(self) -> None:
        """Raise Refused when rows lie in an hour that comes twice, and it is not seen twice."""
        for stretch in self._twice.values():
            if stretch.falls == 0:
                raise self._undecided(stretch.line)

    def _undecided(self, line: int) -> Refused:
        """Return the refusal of a time that comes twice."""
        return Refused(
            f"{self.file}: line {line}: {'+'.join(self.clock.columns)}",
            f"is in the hour that comes twice in {self.clock.zone}, and the rows do not tell which",
            "rows in the order of time, which pass that hour twice",
            "Write dates with their offset from UTC, or drop the rows of that hour.",
            code="time_twice",
        )

    def _refuse(self, texts: Sequence[Any], lines: Ints, row: int) -> None:
        """Raise Refused for a time that is not of this century."""
        cell = " ".join(str(one[row]) for one in texts)
        units = plausible_unit(cell) or f"one of {', '.join(CLOCKS)}"
        raise Refused(
            f"{self.file}: line {lines[row]}: {'+'.join(self.clock.columns)}",
            f"{cell} is not between the years 2000 and 2100 in {self.clock.written}",
            f"Unix time in {units}"
            + ("" if self.clock.start else ", or times since a [time] start"),
            "Correct [time] in the mapping.",
            code="time_unit",
        )


def _joined(texts: Sequence[Any]) -> Any:
    """Return the columns of a clock as one column of text."""
    import pyarrow.compute as pc

    if len(texts) == 1:
        return texts[0]
    return pc.binary_join_element_wise(*map(pc.utf8_trim_whitespace, texts), " ")


def _numbers(cells: Any, unit: str) -> tuple[Ints, Bools]:
    """Return numbers in a unit as ns, exactly, and which cells are no number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = len(str(CLOCKS[unit])) - 1
    try:
        if pa.types.is_integer(cells.type):
            return np.asarray(pc.multiply_checked(cells, CLOCKS[unit])), np.zeros(len(cells), bool)
        # The unscaled value of a decimal with 9 places is the number in units of 1e-9.
        exact = pc.cast(cells, pa.decimal128(18 + places if places else 19, places))
        if not exact.null_count:
            pairs = np.frombuffer(exact.buffers()[1], dtype=np.int64).reshape(-1, 2)
            low, high = pairs[exact.offset : exact.offset + len(exact)].T
            if (high == low >> 63).all():
                return low.copy(), np.zeros(len(cells), bool)
    except pa.ArrowException:
        pass
    return _one_by_one(cells, unit)


def _one_by_one(cells: Any, unit: str) -> tuple[Ints, Bools]:
    """Return times as ns, and which cells are none, cell by cell; those too large are 0."""
    t_ns, bad = np.zeros(len(cells), dtype=np.int64), np.zeros(len(cells), dtype=bool)
    for row, cell in enumerate(cells.to_pylist()):
        try:
            found = unix_ns(str("" if cell is None else cell).strip(), unit)
            t_ns[row] = max(-dates.LIMIT_S * NS, min(found, dates.LIMIT_S * NS))
        # ArithmeticError is raised by Decimal, and for infinity.
        except (ValueError, ArithmeticError):
            bad[row] = True
    return t_ns, bad


def _iso(cells: Any) -> tuple[Ints, Bools, Bools]:
    """Return wall times or Unix ns of ISO dates, which of them name a zone, and which are none.

    Times are cut to microseconds.
    """
    t_ns, named, bad = dates.parse(cells, dates.ISO)
    rows = np.flatnonzero(bad)
    if len(rows):
        # The rarer forms, such as weeks, are left to Python.
        t_ns[rows], bad[rows] = _one_by_one(cells.take(rows), "iso")
    return t_ns // 1000 * 1000, named, bad


def _times_of_day(cells: Any) -> tuple[Ints, Bools]:
    """Return ns since midnight, and which cells are no time of a day."""
    import pyarrow as pa
    import pyarrow.compute as pc

    dated = pc.binary_join_element_wise(
        pa.scalar("1970-01-01"), pc.utf8_trim_whitespace(cells), " "
    )
    t_ns, _, bad = dates.parse(dated, dates.ISO)
    return t_ns, bad
