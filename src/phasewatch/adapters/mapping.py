"""Mapping files: which columns of a table are time, channels, phase and identity.

A mapping is a TOML file beside the schema's; docs/how-to/import.md explains every field. It is read
into frozen values, and a wrong field is refused in one line before any table is opened.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from phasewatch.adapters.clock import CLOCKS, Clock, compile_format, parse_start, parse_zone
from phasewatch.adapters.numerals import PLAIN, Numerals
from phasewatch.adapters.reading.table import DEFAULTS, Options
from phasewatch.episode import NAMES
from phasewatch.errors import Refused
from phasewatch.io import fields
from phasewatch.schema import NS, QUESTION, Channel, Schema

UNITS = {
    "bytes": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20,
              "GiB": 2.0**30, "bit": 0.125, "kbit": 125.0, "Mbit": 125e3},
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0},
    "share": {"1": 1.0, "%": 0.01},
}  # fmt: skip
"""Units that convert into each other, by what they measure; "/s" may follow each."""

REMEDY = "Correct the mapping."

ANSWERS = {
    "value": 'the phase of every row, such as "benign", or else a column, path or file of labels',
    "zone": 'the zone of the dates, such as "Europe/Berlin" or "UTC"',
    "start": "the date from which times count, such as 2026-11-01T10:00:00",
    "format": 'a format, such as "%d/%m/%Y %H:%M" for days before months',
    "decimal": '"," or "."',
    "host": "the name of the machine, or where it stands",
    "outside": "the phase of all time that no label names",
}
"""What may answer a question, by its field."""


def _compiled(text: object) -> re.Pattern[str]:
    """Return a text of a mapping as a regular expression."""
    if isinstance(text, re.Pattern):
        return text
    if not isinstance(text, str):
        raise fields.wrong(f"is {text!r}", "a regular expression")
    try:
        return re.compile(text)
    except re.error as error:
        raise fields.wrong(f"is {text!r}: {error}", "a regular expression") from error


def _listed(value: object) -> object:
    """Return a value of a mapping that may be one or a list of several as a list."""
    return value if isinstance(value, list) else [value]


Pattern = Annotated[re.Pattern[str], BeforeValidator(_compiled)]
Name = Annotated[str, Field(min_length=1)]
Names = Annotated[list[Name], BeforeValidator(_listed), Field(min_length=1)]


class Rule(fields.Row):
    """A regular expression, and the text that replaces a text in which it is found."""

    pattern: Pattern
    replacement: str


class TextSource(fields.Table):
    """Where a text comes from: a `column`, a column's name, the `path` of the file, or a `value`.

    In a mapping, a plain text is a fixed value. `path` and `header` are regular expressions whose
    first group is the text: `path` is searched in the path of the file, `header` in the names of
    its columns. The first of the `rules` whose pattern is found in the text replaces it.
    """

    column: Name | None = None
    path: Pattern | None = None
    header: Pattern | None = None
    value: Name | None = None
    rules: list[Rule] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _fixed_value(cls, value: Any) -> Any:
        if isinstance(value, str) and value:
            return {"value": value}
        if not isinstance(value, dict):
            raise fields.wrong(f"is {value!r}", "a text, or a table with column, path or value")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        ways = ("column", "path", "header", "value")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) != 1:
            problem = f"has {' and '.join(given) or 'none of them'}"
            raise fields.wrong(problem, "one of column, path, header and value")
        return self

    def apply_rules(self, text: str, where: object) -> str:
        """Return `text` as the rules replace it. Raises Refused when there are rules and none fits.

        `where` names the place of the text in the refusal.
        """
        for rule in self.rules:
            if rule.pattern.search(text):
                return rule.replacement
        if self.rules:
            known = ", ".join(rule.pattern.pattern for rule in self.rules)
            raise Refused(where, f"{text!r} fits no rule", f"one of {known}", "Add a rule for it.")
        return text

    def of_file(self, path: str, names: tuple[str, ...] = ()) -> str:
        """Return the text for all rows of the file at `path` with columns of these `names`.

        It is no text of a column. Raises Refused when the pattern is not found, or no rule fits.
        """
        if self.path is None and self.header is None:
            return self.apply_rules(self.value or "", "mapping")
        pattern = self.path or self.header
        assert pattern is not None
        places = (path,) if self.path else names
        found = next((one for place in places if (one := pattern.search(place))), None)
        if found is None:
            where, what = (path, "a path") if self.path else (f"{path}: header", "a column's name")
            raise Refused(
                where, f"does not fit {pattern.pattern!r}", f"{what} that the pattern fits",
                "Correct the pattern, or set the file aside under [files] skip.",
            )  # fmt: skip
        return self.apply_rules((found[1] or "") if pattern.groups else found[0], path)


@dataclass(frozen=True)
class Quantity:
    """The values of one channel: those of `column`, or 1 for each row where it is empty.

    Of rows that are counted, `where` chooses those with one of some texts in a column.
    They are multiplied by `factor`, and divided by the seconds in the column `per` where it is not
    empty. `unit` is the word for the unit that may follow a number in the column. Where the column
    is `optional`, the channel of a file without it is not measured.
    """

    channel: Channel
    column: str
    factor: float = 1.0
    per: str = ""
    unit: str = ""
    optional: bool = False
    where: tuple[tuple[str, frozenset[str]], ...] = ()


@dataclass(frozen=True)
class Intervals:
    """A file of labels: the phase of each stretch of time, `outside` of all of which it is another.

    `start`, `end`, `label` and `host` are columns of the file. Instead of `end` there may be a
    `duration`, a column of numbers of `duration_ns` each; without both, an interval ends where the
    next begins. Without `host`, it holds for every host.
    """

    file: str
    start: str
    end: str
    label: TextSource
    outside: str
    clock: Clock
    host: str = ""
    duration: str = ""
    duration_ns: int = NS


@dataclass(frozen=True)
class Pivot:
    """Rows that hold one value each: its name is in the columns `names`, itself in `values`.

    The text that `path` finds in the path of the file and those of several name columns are joined
    by dots, empty ones left out. Where `values` are several columns, of which a file need not have
    all, the name of the value column follows after a dot.
    """

    names: tuple[str, ...]
    values: tuple[str, ...]
    path: TextSource | None = None


class BaselineRows(fields.Table):
    """Which rows are of baseline recordings: of files at such a `path`, or with a `column` so.

    `path` and `fits` are regular expressions, one for the path of a file and one for the text in
    the column.
    """

    path: Pattern | None = None
    column: Name | None = None
    fits: Pattern | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.path is None) == (self.column is None):
            raise fields.wrong("has both or none of path and column", "one of path and column")
        if (self.column is None) != (self.fits is None):
            raise fields.wrong("has one of column and fits alone", "both, or path", "fits")
        return self


@dataclass(frozen=True)
class Mapping:
    """How the tables of a folder become episodes.

    `pattern` and `skip` choose the files, `options` says how they are written, `numerals` how
    numbers are. `clock` reads their times. `identity` has a source for each of NAMES. `gap_s` is
    the silence that ends an episode, 0 for none; `cut_s` the length at which longer recordings are
    cut, 0 for none. `bin_s` is more than 0 where rows are events (flows, log lines): they are
    summed in bins of so many seconds, and a bin without a row is 0. `drop` are rows to leave out,
    by column and texts; of `keep`, rows with another text are left out. `join` makes rows of one
    identity and time one row, whichever files they are in; a `pivot` implies it. The phase comes
    from `phase`, or from `intervals` in a file of their own. `baseline` says which recordings only
    teach the level of their machine; None: none does.
    """

    pattern: str
    skip: tuple[re.Pattern[str], ...]
    clock: Clock
    identity: dict[str, TextSource]
    phase: TextSource | None
    quantities: tuple[Quantity, ...]
    intervals: Intervals | None = None
    options: Options = DEFAULTS
    numerals: Numerals = PLAIN
    pivot: Pivot | None = None
    join: bool = False
    gap_s: float = 0.0
    cut_s: float = 0.0
    bin_s: float = 0.0
    drop: tuple[tuple[str, frozenset[str]], ...] = ()
    keep: tuple[tuple[str, frozenset[str]], ...] = ()
    baseline: BaselineRows | None = None

    @property
    def texts(self) -> list[str]:
        """The columns of which the text is used: identity, phase, names of a pivot, kept rows."""
        sources = (*self.identity.values(), *((self.phase,) if self.phase else ()))
        counted = [pair for one in self.quantities for pair in one.where]
        named = [name for name, _ in (*self.drop, *self.keep, *counted)]
        needed = [*(source.column for source in sources), *named]
        needed += self.pivot.names if self.pivot else ()
        needed += [self.baseline.column] if self.baseline else ()
        return list(dict.fromkeys(name for name in needed if name))

    @property
    def numbers(self) -> list[str]:
        """The columns of which the numbers are used; those of channels are not, with a pivot."""
        if self.pivot:
            return list(self.pivot.values)
        found = [name for one in self.quantities for name in (one.column, one.per)]
        return list(dict.fromkeys(name for name in found if name))

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return list(dict.fromkeys([*self.clock.columns, *self.texts, *self.numbers]))


# ---------------------------------------------------------------- fields of the file


class _Files(fields.Table):
    pattern: str = "**/*"
    skip: list[Pattern] = Field(default_factory=list)
    encoding: str = ""
    separator: str = ""
    comment: str = ""
    skip_lines: Annotated[int, Field(ge=0)] | None = None
    header: list[Name] | None = None
    records: str = ""
    rename: list[Rule] = Field(default_factory=list)

    @model_validator(mode="after")
    def _known_encoding(self) -> Self:
        try:
            "".encode(self.encoding or "utf-8")
        except LookupError:
            expected = "the name of an encoding, such as utf-16 or cp1252"
            raise fields.wrong(f"is {self.encoding!r}", expected, "encoding") from None
        return self

    def options(self) -> Options:
        """Return what these fields say about reading."""
        return Options(
            self.encoding, self.separator, self.comment, self.skip_lines,
            None if self.header is None else tuple(self.header), self.records,
            tuple((rule.pattern, rule.replacement) for rule in self.rename),
        )  # fmt: skip


class _Numbers(fields.Table):
    decimal: Literal[".", ","] = "."
    thousands: str = ""
    missing: list[str] = Field(default_factory=list)
    suffixes: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.thousands == self.decimal:
            expected = f"another character than the decimal {self.decimal!r}"
            raise fields.wrong(f"is {self.thousands!r}", expected, "thousands")
        return self

    def numerals(self) -> Numerals:
        """Return how numbers are written, as these fields say."""
        suffixes = tuple(self.suffixes.items())
        return Numerals(self.decimal, self.thousands, tuple(self.missing), suffixes)


_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Unit = Annotated[
    Literal["s", "ms", "us", "ns", "iso", "clock"] | None,
    Field(description=f"one of {', '.join(CLOCKS)}, iso, clock"),
]


class _Written(fields.Table):
    """How times are written, in [time] and in the labels of [phase] alike."""

    unit: _Unit = None
    format: str = ""
    zone: str = ""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.unit and self.format:
            raise fields.wrong("has unit and format", "one of unit and format")
        if self.format:
            compile_format(self.format)
        if self.zone:
            parse_zone(self.zone)
        if self.zone and self.unit in CLOCKS and not self._since():
            raise fields.wrong(f"is given for Unix time in {self.unit}", "dates", "zone")
        return self

    def _since(self) -> str:
        """Return the date from which numbers count, "" for that of Unix time."""
        return ""


class _Time(_Written):
    column: Names
    start: str = ""
    round_s: _Seconds = 0.0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.unit and not self.format:
            expected = f"one of {', '.join(CLOCKS)}, iso, clock, or a format of dates"
            raise fields.wrong("is missing", expected, "unit")
        if self.unit == "clock" and not self.start:
            raise fields.wrong("is missing", "the date of the first row, for times of day", "start")
        if self.start:
            parse_start(self.start)
        if self.start and (self.format or self.unit == "iso"):
            raise fields.wrong("is given beside whole dates", "a unit for times since it", "start")
        return self

    def _since(self) -> str:
        """Return the date from which numbers count, "" for that of Unix time."""
        return self.start

    def clock(self) -> Clock:
        """Return how times are read, as these fields say."""
        return Clock(
            tuple(self.column), self.unit or "", self.format, self.zone, self.start,
            round(self.round_s * NS),
        )  # fmt: skip


def _texts(value: object) -> object:
    """Return the text or texts that rows are chosen by as a set of texts."""
    return frozenset(map(str, value if isinstance(value, list) else [value]))


_Choices = dict[str, Annotated[frozenset[str], BeforeValidator(_texts), Field(min_length=1)]]


class _Rows(fields.Table):
    events_every_s: _Seconds = 0.0
    drop: _Choices = Field(default_factory=dict)
    keep: _Choices = Field(default_factory=dict)
    join: bool = False


class _Pivot(fields.Table):
    name: Annotated[list[Name], BeforeValidator(_listed)] = Field(default_factory=list)
    path: Pattern | None = None
    value: Names

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name and self.path is None:
            expected = "the column of the names, or path, a pattern for the paths of the files"
            raise fields.wrong("is missing", expected, "name")
        return self

    def pivot(self) -> Pivot:
        """Return where names and values are, as these fields say."""
        path = None if self.path is None else TextSource(path=self.path)
        return Pivot(tuple(self.name), tuple(self.value), path)


class _Episode(fields.Table):
    host: TextSource
    sample: TextSource
    profile: TextSource
    campaign: TextSource = TextSource(value="imported")
    gap_s: _Seconds = 0.0
    every_s: _Seconds = 0.0


LENGTHS_NS = {"ms": NS // 1000, "s": NS, "min": 60 * NS, "h": 3600 * NS}
"""Nanoseconds in each unit of durations."""


class _Intervals(_Written):
    file: Name
    start: Name = "start"
    end: str = "end"
    label: Name = "label"
    duration: str = ""
    duration_unit: Literal["ms", "s", "min", "h"] = "s"
    host: str = ""
    outside: Name
    rules: list[Rule] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.duration and "end" in self.model_fields_set:
            raise fields.wrong("is given beside end", "one of end and duration", "duration")
        return self


class _ChannelSource(fields.Table):
    column: str = ""
    rows: bool = False
    unit: str = ""
    per: str = ""
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    optional: bool = False
    where: _Choices = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _column_name(cls, value: Any) -> Any:
        if isinstance(value, str) and value:
            return {"column": value}
        if not isinstance(value, dict):
            raise fields.wrong(f"is {value!r}", "the name of a column, or a table")
        return value

    @model_validator(mode="after")
    def _column_or_rows(self) -> Self:
        if self.rows and (others := self.model_fields_set - {"rows", "where"}):
            named = ", ".join(sorted(others))
            raise fields.wrong(f"has {named} beside rows", "rows = true, alone or with where")
        if self.where and not self.rows:
            raise fields.wrong("stands beside a column", "rows = true", "where")
        if not self.rows and not self.column:
            raise fields.wrong("is missing", "the name of a column, or rows = true", "column")
        return self


class _File(fields.Table):
    files: _Files = _Files()
    numbers: _Numbers = _Numbers()
    time: _Time
    rows: _Rows = _Rows()
    pivot: _Pivot | None = None
    episode: _Episode
    phase: TextSource
    baseline: BaselineRows | None = None
    channels: dict[str, _ChannelSource]


def read(path: Path, schema: Schema) -> Mapping:
    """Return the mapping for `schema` that a TOML file holds. Raises Refused."""
    return parse(fields.read_toml(path, "a mapping", code="mapping"), path, schema)


def parse(value: dict[str, Any], path: object, schema: Schema) -> Mapping:
    """Return the mapping for `schema` that fields hold, which were read from `path`.

    Raises Refused, too, for a question that a draft leaves open.
    """
    _refuse_questions(value, str(path))
    labels = value.get("phase")
    apart = isinstance(labels, dict) and "file" in labels
    # The labels have fields of their own: they are validated as another table.
    value = value | {"phase": "labels"} if apart else value
    file = fields.validate(_File, value, path, remedy=REMEDY, code="mapping")
    _refuse_contradictions(file, path)
    return Mapping(
        pattern=file.files.pattern,
        skip=tuple(file.files.skip),
        clock=file.time.clock(),
        identity={name: getattr(file.episode, name) for name in NAMES},
        phase=None if apart else file.phase,
        quantities=_quantities(file, schema, path),
        intervals=_intervals(labels, file.time, path) if apart else None,
        options=file.files.options(),
        numerals=file.numbers.numerals(),
        pivot=file.pivot.pivot() if file.pivot else None,
        join=file.rows.join or file.pivot is not None,
        gap_s=file.episode.gap_s,
        cut_s=file.episode.every_s,
        bin_s=file.rows.events_every_s,
        drop=tuple(file.rows.drop.items()),
        keep=tuple(file.rows.keep.items()),
        baseline=file.baseline,
    )


def _refuse_questions(value: dict[str, Any], place: str) -> None:
    """Raise Refused for the first field that holds a question of a draft instead of an answer."""
    for name, one in value.items():
        if isinstance(one, dict):
            _refuse_questions(one, f"{place}: {name}")
        elif one == QUESTION:
            expected = ANSWERS.get(name, "an answer")
            raise _refused(f"{place}.{name}", "is a question that the draft leaves open", expected)


def _intervals(labels: object, time: _Time, path: object) -> Intervals:
    """Return where labels are in their file; times are written as in [time] unless it says so."""
    found = fields.validate(_Intervals, labels, path, "phase", remedy=REMEDY, code="mapping")
    if found.unit == "clock" or (not found.unit and not found.format and time.unit == "clock"):
        raise _refused(f"{path}: phase.unit", "is clock", "whole dates, or times in a unit")
    own = found.unit or found.format
    clock = Clock(
        (found.start,),
        (found.unit or "") if own else (time.unit or ""),
        found.format if own else time.format,
        found.zone or time.zone,
        time.start if (found.unit or time.unit) in CLOCKS else "",
    )
    label = TextSource(column=found.label, rules=found.rules)
    end = "" if found.duration else found.end
    return Intervals(
        found.file, found.start, end, label, found.outside, clock, found.host, found.duration,
        LENGTHS_NS[found.duration_unit],
    )  # fmt: skip


def _refused(place: str, problem: str, expected: str) -> Refused:
    """Return the refusal of a field of a mapping."""
    return Refused(place, problem, expected, REMEDY, code="mapping")


def _refuse_contradictions(file: _File, path: object) -> None:
    """Raise Refused for fields that do not go together."""
    bins, cut = file.rows.events_every_s, file.episode.every_s
    if bins and (file.rows.join or file.pivot):
        problem = f"is {bins:g} beside {'[pivot]' if file.pivot else 'join'}"
        raise _refused(f"{path}: rows.events_every_s", problem, "events, or rows to be joined")
    if bins and cut and round(cut * NS) % round(bins * NS):
        problem = f"is {cut:g} s, and bins of {bins:g} s do not fill it"
        raise _refused(f"{path}: episode.every_s", problem, "a multiple of [rows] events_every_s")
    if file.pivot:
        for name, one in file.channels.items():
            if one.rows or one.per:
                problem = f"has {'rows' if one.rows else 'per'} beside [pivot]"
                raise _refused(f"{path}: channels.{name}", problem, "the name of a quantity")


def _quantities(file: _File, schema: Schema, path: object) -> tuple[Quantity, ...]:
    """Return a quantity for every channel of the schema, in its order."""
    where = f"{path}: channels"
    if unknown := sorted(set(file.channels) - set(schema.names)):
        raise _refused(
            where,
            f"{', '.join(unknown)} is no channel of schema {schema.name}",
            f"channels such as {schema.names[0]}, in quotes",
        )
    if missing := [name for name in schema.names if name not in file.channels]:
        raise _refused(
            where,
            f"{', '.join(missing[:3])} is not mapped ({len(missing)} in all)",
            "a column for every channel of the schema",
        )
    if file.rows.events_every_s:
        _refuse_levels(schema, where)
    return tuple(
        _quantity(channel, file.channels[channel.name], f"{where}.{channel.name}")
        for channel in schema.channels
    )


def _refuse_levels(schema: Schema, where: str) -> None:
    """Raise Refused for a channel that cannot be counted, where rows are events."""
    for channel in schema.channels:
        if channel.kind != "event":
            raise _refused(
                where,
                f"{channel.name} is a {channel.kind} and rows are events",
                'kind "event" for every channel under [rows] events_every_s',
            )


def _quantity(channel: Channel, source: _ChannelSource, where: str) -> Quantity:
    """Return the values of a channel. Raises Refused for a unit that does not convert."""
    if source.rows:
        return Quantity(channel, "", where=tuple(source.where.items()))
    factor = source.scale
    if source.unit:
        factor *= _conversion(source.unit + "/s" * bool(source.per), channel.unit, where)
    return Quantity(channel, source.column, factor, source.per, source.unit, source.optional)


def _conversion(theirs: str, ours: str, where: str) -> float:
    """Return the factor from a value in the unit `theirs` to one in the unit `ours`.

    Raises Refused naming `where` when there is none.
    """
    if theirs == ours:
        return 1.0
    (their, rate), (our, same) = (
        (unit.removesuffix("/s"), unit.endswith("/s")) for unit in (theirs, ours)
    )
    for known in UNITS.values():
        if rate == same and their in known and our in known:
            return known[their] / known[our]
    problem = f"{theirs} does not convert to the schema's {ours}"
    raise _refused(where, problem, "a unit that does")
