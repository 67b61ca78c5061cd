"""Mapping files: which columns of a table are time, channels, phase and identity.

A mapping is a TOML file beside the schema's; docs/how-to/import.md explains every field. It is read
into frozen values, and a wrong field is refused in one line before any table is opened.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from phasewatch.episode import NAMES
from phasewatch.errors import Refused
from phasewatch.io import fields
from phasewatch.schema import Channel, Schema

CLOCKS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds in each unit of a time column; the other unit is "iso", for dates as text."""

UNITS = {
    "bytes": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20,
              "GiB": 2.0**30, "bit": 0.125, "kbit": 125.0, "Mbit": 125e3},
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0},
    "share": {"1": 1.0, "%": 0.01},
}  # fmt: skip
"""Units that convert into each other, by what they measure; "/s" may follow each."""

REMEDY = "Correct the mapping."


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


Pattern = Annotated[re.Pattern[str], BeforeValidator(_compiled)]
Name = Annotated[str, Field(min_length=1)]


class Rule(fields.Row):
    """A regular expression, and the text that replaces a text in which it is found."""

    pattern: Pattern
    replacement: str


class TextSource(fields.Table):
    """Where a text comes from: a `column`, the `path` of the file, or a fixed `value`.

    In a mapping, a plain text is a fixed value. `path` is a regular expression whose first group is
    the text. The first of the `rules` whose pattern is found in the text replaces it.
    """

    column: Name | None = None
    path: Pattern | None = None
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
        given = [name for name in ("column", "path", "value") if getattr(self, name) is not None]
        if len(given) != 1:
            problem = f"has {' and '.join(given) or 'none of them'}"
            raise fields.wrong(problem, "one of column, path and value")
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

    def of_file(self, path: str) -> str:
        """Return the text for all rows of the file at `path`, which has no column for it.

        Raises Refused when `path` does not fit the pattern, or the text no rule.
        """
        if self.path is None:
            return self.apply_rules(self.value or "", "mapping")
        found = self.path.search(path)
        if found is None:
            raise Refused(
                path, f"does not fit {self.path.pattern!r}", "a path that the pattern fits",
                "Correct the pattern, or set the file aside under [files] skip.",
            )  # fmt: skip
        return self.apply_rules((found[1] or "") if self.path.groups else found[0], path)


@dataclass(frozen=True)
class Quantity:
    """The values of one channel: those of `column`, or 1 for each row where it is empty.

    They are multiplied by `factor`, and divided by the seconds in the column `per` where it is not
    empty.
    """

    channel: Channel
    column: str
    factor: float = 1.0
    per: str = ""


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

    `pattern` and `skip` choose the files. `time` is the column of times in `unit`. `identity` has
    a source for each of NAMES. `gap_s` is the silence that ends an episode, 0 for none.
    `bin_s` is more than 0 where rows are events (flows, log lines): they are summed in bins of so
    many seconds, and a bin without a row is 0. `drop` are rows to leave out, by column and text.
    `baseline` says which recordings only teach the level of their machine; None: none does.
    """

    pattern: str
    skip: tuple[re.Pattern[str], ...]
    time: str
    unit: str
    identity: dict[str, TextSource]
    phase: TextSource
    quantities: tuple[Quantity, ...]
    gap_s: float = 0.0
    bin_s: float = 0.0
    drop: tuple[tuple[str, str], ...] = ()
    baseline: BaselineRows | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that every table must have."""
        texts = [source.column for source in (*self.identity.values(), self.phase)]
        numbers = [name for one in self.quantities for name in (one.column, one.per)]
        marked = [self.baseline.column] if self.baseline else []
        needed = [self.time, *texts, *numbers, *(name for name, _ in self.drop), *marked]
        return list(dict.fromkeys(name for name in needed if name))


# ---------------------------------------------------------------- fields of the file


class _Files(fields.Table):
    pattern: str = "**/*"
    skip: list[Pattern] = Field(default_factory=list)


class _Time(fields.Table):
    column: Name
    unit: Literal["s", "ms", "us", "ns", "iso"] = Field(
        description=f"one of {', '.join(CLOCKS)}, iso"
    )


_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Rows(fields.Table):
    events_every_s: _Seconds = 0.0
    drop: dict[str, Any] = Field(default_factory=dict)


class _Episode(fields.Table):
    host: TextSource
    sample: TextSource
    profile: TextSource
    campaign: TextSource = TextSource(value="imported")
    gap_s: _Seconds = 0.0


class _ChannelSource(fields.Table):
    column: str = ""
    rows: bool = False
    unit: str = ""
    per: str = ""
    scale: Annotated[float, Field(allow_inf_nan=False)] = 1.0

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
        if self.rows and len(self.model_fields_set) > 1:
            others = ", ".join(sorted(self.model_fields_set - {"rows"}))
            raise fields.wrong(f"has {others} beside rows", "rows = true alone")
        if not self.rows and not self.column:
            raise fields.wrong("is missing", "the name of a column, or rows = true", "column")
        return self


class _File(fields.Table):
    files: _Files = _Files()
    time: _Time
    rows: _Rows = _Rows()
    episode: _Episode
    phase: TextSource
    baseline: BaselineRows | None = None
    channels: dict[str, _ChannelSource]


def read(path: Path, schema: Schema) -> Mapping:
    """Return the mapping for `schema` that a TOML file holds. Raises Refused."""
    value = fields.read_toml(path, "a mapping", code="mapping")
    file = fields.validate(_File, value, path, remedy=REMEDY, code="mapping")
    return Mapping(
        pattern=file.files.pattern,
        skip=tuple(file.files.skip),
        time=file.time.column,
        unit=file.time.unit,
        identity={name: getattr(file.episode, name) for name in NAMES},
        phase=file.phase,
        quantities=_quantities(file, schema, path),
        gap_s=file.episode.gap_s,
        bin_s=file.rows.events_every_s,
        drop=tuple((name, str(text)) for name, text in file.rows.drop.items()),
        baseline=file.baseline,
    )


def _refused(place: str, problem: str, expected: str) -> Refused:
    """Return the refusal of a field of a mapping."""
    return Refused(place, problem, expected, REMEDY, code="mapping")


def _quantities(file: _File, schema: Schema, path: Path) -> tuple[Quantity, ...]:
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
        return Quantity(channel, "")
    factor = source.scale
    if source.unit:
        factor *= _conversion(source.unit + "/s" * bool(source.per), channel.unit, where)
    return Quantity(channel, source.column, factor, source.per)


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
