"""How somebody else's rows become episodes: which columns, which clock, what tells who and when.

A mapping is a TOML file beside the schema's; docs/how-to/import.md explains every field. It is read
into frozen values, and whatever is wrong with it is refused in one line before any file is opened.
"""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasewatch.errors import Refused
from phasewatch.schema import Channel, Schema

WHO = ("host", "sample", "profile", "campaign")
DEFAULTS = {"campaign": "imported"}
"""What is said of an episode where the mapping says nothing."""

CLOCKS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds in a unit of a time column; beside them stands "iso", dates as text."""

UNITS = {
    "bytes": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20,
              "GiB": 2.0**30, "bit": 0.125, "kbit": 125.0, "Mbit": 125e3},
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0},
    "share": {"1": 1.0, "%": 0.01},
}  # fmt: skip
"""Units that convert into each other, by what they measure; "/s" may follow each."""


@dataclass(frozen=True)
class Told:
    """Where a word comes from: a `column`, the file's `path` by pattern, or a fixed `value`.

    `path` is a regular expression whose first group is the word; `rules` are pairs of a regular
    expression and what replaces a word that it is found in; the first that fits wins.
    """

    column: str = ""
    path: re.Pattern[str] | None = None
    value: str = ""
    rules: tuple[tuple[re.Pattern[str], str], ...] = ()

    def of(self, word: str, where: object) -> str:
        """The word as the rules have it; raises Refused when there are rules and none fits."""
        for pattern, meant in self.rules:
            if pattern.search(word):
                return meant
        if self.rules:
            known = ", ".join(pattern.pattern for pattern, _ in self.rules)
            raise Refused(where, f"{word!r} fits no rule", f"one of {known}", "Add a rule for it.")
        return word

    def said(self, path: str) -> str:
        """What a file's path, or the mapping itself, says. Raises Refused."""
        if self.path is None:
            return self.of(self.value, "mapping")
        found = self.path.search(path)
        if found is None:
            raise Refused(
                path, f"does not fit {self.path.pattern!r}", "a path that the pattern fits",
                "Correct the pattern, or set the file aside under [files] skip.",
            )  # fmt: skip
        return self.of(found[1] if self.path.groups else found[0], path)


@dataclass(frozen=True)
class Quantity:
    """One channel's values: a `column`, or 1 a row where it is empty, times `factor`.

    They are divided by the seconds in the column `per` where a row counts what passed in a while.
    """

    channel: Channel
    column: str
    factor: float = 1.0
    per: str = ""


@dataclass(frozen=True)
class Mapping:
    """A whole mapping. `gap_s` is the silence that ends an episode, 0 for none.

    `every_s` is set where rows are events (flows, log lines): they are added up in bins of so many
    seconds, and a bin without a row is 0. `drop` are rows to leave out, by column and text.
    """

    pattern: str
    skip: tuple[re.Pattern[str], ...]
    time: str
    unit: str
    who: dict[str, Told]
    phase: Told
    quantities: tuple[Quantity, ...]
    gap_s: float = 0.0
    every_s: float = 0.0
    drop: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> list[str]:
        """Every column that a table must have."""
        told = [one.column for one in (*self.who.values(), self.phase)]
        own = [name for one in self.quantities for name in (one.column, one.per)]
        asked = [self.time, *told, *own, *(name for name, _ in self.drop)]
        return list(dict.fromkeys(name for name in asked if name))


@dataclass(frozen=True)
class _Table:
    """One table of the TOML file: every field is taken once, and none may be left."""

    where: str
    fields: dict[str, Any] = field(default_factory=dict)

    def take(self, name: str, kind: type, default: Any = None) -> Any:
        value = self.fields.pop(name, default)
        if value is None:
            raise self.refuse(f"{name} is missing", f"{name} = a {kind.__name__}")
        wanted = (int, float) if kind is float else kind
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
            raise self.refuse(f"{name} is {value!r}", f"a {kind.__name__}")
        return value

    def end(self) -> None:
        if self.fields:
            raise self.refuse(
                f"{', '.join(self.fields)} is unknown", "fields of docs/how-to/import.md"
            )

    def pattern(self, text: object) -> re.Pattern[str]:
        try:
            return re.compile(str(text))
        except re.error as error:
            raise self.refuse(f"{text!r}: {error}", "a regular expression") from error

    def refuse(self, problem: str, expected: str) -> Refused:
        return Refused(self.where, problem, expected, "Correct the mapping.", code="mapping")


def read(path: Path, schema: Schema) -> Mapping:
    """A mapping for `schema` from a TOML file. Raises Refused."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = error.strerror or str(error)
        raise Refused(path, problem, "a mapping in TOML", "Check the path.") from error
    except ValueError as error:
        raise Refused(path, str(error), "a mapping in TOML", "Correct the file.") from error
    whole = _Table(str(path), raw)

    def part(name: str, default: object = None) -> _Table:
        return _Table(f"{path}: [{name}]", whole.take(name, dict, default))

    files, time, rows = part("files", {}), part("time"), part("rows", {})
    episode, phase, channels = part("episode"), part("phase"), part("channels")
    whole.end()
    unit = time.take("unit", str)
    if unit not in (*CLOCKS, "iso"):
        raise time.refuse(f"unit is {unit!r}", f"one of {', '.join(CLOCKS)}, iso")
    every_s = rows.take("events_every_s", float, 0.0)
    made = Mapping(
        pattern=files.take("pattern", str, "**/*"),
        skip=tuple(files.pattern(text) for text in files.take("skip", list, [])),
        time=time.take("column", str),
        unit=unit,
        who={name: _told(episode, name, DEFAULTS.get(name)) for name in WHO},
        phase=_told(_Table(phase.where, {"phase": dict(phase.fields)}), "phase", None),
        quantities=_quantities(channels, schema, every_s > 0),
        gap_s=float(episode.take("gap_s", float, 0.0)),
        every_s=float(every_s),
        drop=tuple((name, str(text)) for name, text in rows.take("drop", dict, {}).items()),
    )
    for table in (files, time, rows, episode):
        table.end()
    return made


def _told(table: _Table, name: str, default: str | None) -> Told:
    """A word's source: a text is a fixed value, a table has one of column, path and value."""
    value = table.fields.pop(name, default)
    if isinstance(value, str) and value:
        return Told(value=value)
    if not isinstance(value, dict):
        raise table.refuse(f"{name} is {value!r}", "a text, or a table with column, path or value")
    own = _Table(f"{table.where} {name}", dict(value))
    ways = [way for way in ("column", "path", "value") if way in own.fields]
    if len(ways) != 1:
        raise own.refuse(f"has {' and '.join(ways) or 'nothing'}", "one of column, path and value")
    rules = []
    for rule in own.take("rules", list, []):
        if not isinstance(rule, list) or len(rule) != 2:
            raise own.refuse(f"rule {rule!r}", "pairs of a pattern and what it means")
        rules.append((own.pattern(rule[0]), str(rule[1])))
    text = own.take(ways[0], str)
    own.end()
    if ways == ["path"]:
        return Told(path=own.pattern(text), rules=tuple(rules))
    return Told(**{ways[0]: text}, rules=tuple(rules))


def _quantities(table: _Table, schema: Schema, events: bool) -> tuple[Quantity, ...]:
    """One for every channel of the schema, in its order."""
    if unknown := sorted(set(table.fields) - set(schema.names)):
        raise table.refuse(
            f"{', '.join(unknown)} is no channel of schema {schema.name}",
            f"channels such as {schema.names[0]}, in quotes",
        )
    if missing := [name for name in schema.names if name not in table.fields]:
        raise table.refuse(
            f"{', '.join(missing[:3])} is not mapped ({len(missing)} in all)",
            "a column for every channel of the schema",
        )
    found = []
    for channel in schema.channels:
        if events and channel.kind != "event":
            raise table.refuse(
                f"{channel.name} is a {channel.kind} and rows are events",
                'kind "event" for every channel under [rows] events_every_s',
            )
        value = table.fields[channel.name]
        fields = {"column": value} if isinstance(value, str) else value
        if not isinstance(fields, dict):
            raise table.refuse(f"{channel.name} is {value!r}", "a column's name, or a table")
        own = _Table(f"{table.where} {channel.name}", dict(fields))
        if own.take("rows", bool, False):
            found.append(Quantity(channel, ""))
        else:
            per, scale = own.take("per", str, ""), own.take("scale", float, 1.0)
            unit = own.take("unit", str, "")
            factor = scale * (_factor(own, unit + "/s" * bool(per), channel.unit) if unit else 1.0)
            found.append(Quantity(channel, own.take("column", str), factor, per))
        own.end()
    return tuple(found)


def _factor(table: _Table, theirs: str, ours: str) -> float:
    """What a value in `theirs` is multiplied with to be one in `ours`."""
    if theirs == ours:
        return 1.0
    (their, rate), (our, same) = (
        (unit.removesuffix("/s"), unit.endswith("/s")) for unit in (theirs, ours)
    )
    for known in UNITS.values():
        if rate == same and their in known and our in known:
            return known[their] / known[our]
    raise table.refuse(f"{theirs} does not convert to the schema's {ours}", "a unit that does")
