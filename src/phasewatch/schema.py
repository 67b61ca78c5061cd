"""What is measured, on which grid, into which classes: frozen values with an ordered fingerprint.

A store carries the Schema it was recorded under and a checkpoint the one it was trained on; binding
one to the other compares definitions, never names alone. Realistic mode is `schema.deployed()`,
oracle mode is the schema itself, so no mask exists that could disagree with anything.
"""

import hashlib
import reprlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast, get_args

from phasewatch.errors import Refused
from phasewatch.io import atomic

Kind = Literal["gauge", "counter", "event"]
Mode = Literal["realistic", "oracle"]
MODES: tuple[Mode, ...] = get_args(Mode)

EXTRACTION = 1
"""Version of the code that turns samples into steps; a change of its meaning raises it."""

NS = 1_000_000_000

LEAST_STEP_S, MOST_S, MOST_STEPS = 0.001, 86_400, 10_000
"""Of a grid in a file: its shortest step, its longest length, its steps a window at most."""


@dataclass(frozen=True)
class Channel:
    """One measured quantity, named "source.quantity"."""

    name: str
    unit: str
    kind: Kind
    deployed: bool
    meaning: str

    @property
    def source(self) -> str:
        """The part of the name before the dot."""
        return self.name.partition(".")[0]

    def definition(self) -> list[object]:
        """What must be equal for two channels to be the same; the meaning is prose and is not."""
        return [self.name, self.unit, self.kind, self.deployed]


@dataclass(frozen=True)
class Grid:
    """Window, stride and step in seconds; `hold_s` is how long a value stands for a late sample."""

    window_s: float
    stride_s: float
    step_s: float
    hold_s: float

    def __post_init__(self) -> None:
        """Refuse lengths that are not positive whole multiples of the step."""
        for name in ("window_s", "stride_s"):
            length = getattr(self, name)
            if self.step_s <= 0 or length <= 0 or round(length / self.step_s) < 1:
                raise ValueError(f"grid.{name}={length} and step_s={self.step_s} must be positive")
            if abs(length / self.step_s - round(length / self.step_s)) > 1e-9:
                raise ValueError(f"grid.{name}={length} is no multiple of step_s={self.step_s}")
        if self.hold_s < self.step_s:
            raise ValueError(f"grid.hold_s={self.hold_s} is shorter than step_s={self.step_s}")

    @property
    def steps(self) -> int:
        """T, the number of steps in a window."""
        return round(self.window_s / self.step_s)

    @property
    def stride(self) -> int:
        """Steps from one window to the next."""
        return round(self.stride_s / self.step_s)

    @property
    def step_ns(self) -> int:
        """Length of a step in nanoseconds."""
        return round(self.step_s * NS)

    @property
    def hold_ns(self) -> int:
        """How old a value may be and still stand for a step without one, in nanoseconds."""
        return round(self.hold_s * NS)

    def definition(self) -> list[object]:
        """Canonical form."""
        return [float(self.window_s), float(self.stride_s), float(self.step_s), float(self.hold_s)]


@dataclass(frozen=True)
class Schema:
    """Ordered channels, ordered classes, a grid, and the version of the extraction code.

    `untested` is prose: what no recording under this schema ever holds, which every report says.
    """

    name: str
    channels: tuple[Channel, ...]
    classes: tuple[str, ...]
    grid: Grid
    extraction: int = EXTRACTION
    untested: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not be told apart: no channels, double names, under two classes."""
        for what, names in (("channel", self.names), ("class", self.classes)):
            double = sorted({name for name in names if names.count(name) > 1})
            if double:
                raise ValueError(f"{what} defined twice: {', '.join(double)}")
        if not self.channels or len(self.classes) < 2:
            raise ValueError("a schema needs at least one channel and two classes")
        for channel in self.channels:
            if channel.kind not in get_args(Kind):
                raise ValueError(f"{channel.name}: kind {channel.kind!r} is not {get_args(Kind)}")
            if not channel.source or channel.name.count(".") != 1:
                raise ValueError(f"{channel.name!r} is not of the form source.quantity")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Channel names in order."""
        return tuple(channel.name for channel in self.channels)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """What a sample of each channel is."""
        return {channel.name: channel.kind for channel in self.channels}

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Sources in the order of their first channel."""
        return tuple(dict.fromkeys(channel.source for channel in self.channels))

    def of(self, source: str) -> tuple[Channel, ...]:
        """The channels of one source, in order."""
        return self._by_source.get(source, ())

    @cached_property
    def _by_source(self) -> dict[str, tuple[Channel, ...]]:
        return {
            source: tuple(channel for channel in self.channels if channel.source == source)
            for source in self.sources
        }

    def deployed(self) -> "Schema":
        """The schema of realistic mode: only what a deployed defender can see and trust."""
        kept = tuple(channel for channel in self.channels if channel.deployed)
        return replace(self, channels=kept)

    def mode(self, mode: Mode) -> "Schema":
        """The schema a model of this mode is given."""
        return self.deployed() if mode == "realistic" else self

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that differ: one of them, where all channels are deployed or none is."""
        kinds = {channel.deployed for channel in self.channels}
        return MODES if len(kinds) > 1 else ("realistic" if True in kinds else "oracle",)

    def definition(self) -> dict[str, object]:
        """Everything that gives the numbers their meaning, in order."""
        return {
            "channels": [channel.definition() for channel in self.channels],
            "classes": list(self.classes),
            "grid": self.grid.definition(),
            "extraction": self.extraction,
        }

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the canonical, ordered definition."""
        return hashlib.sha256(atomic.canonical(self.definition())).hexdigest()

    def gaps(self, other: "Schema") -> list[str]:
        """What this schema asks for that `other` lacks or defines otherwise, one line each.

        Channels that only `other` has, and its order, do not matter: samples are bound by name, in
        this schema's own order.
        """
        lines = [f"{key} {mine!r} is now {theirs!r}" for key, mine, theirs in self._frame(other)]
        theirs = {channel.name: channel for channel in other.channels}
        for channel in self.channels:
            found = theirs.get(channel.name)
            if found is None:
                lines.append(f"channel {channel.name} is missing")
            elif found.definition() != channel.definition():
                lines += [
                    f"channel {channel.name}: {key} {getattr(channel, key)!r} "
                    f"is now {getattr(found, key)!r}"
                    for key in ("unit", "kind", "deployed")
                    if getattr(channel, key) != getattr(found, key)
                ]
        return lines

    def _frame(self, other: "Schema") -> list[tuple[str, object, object]]:
        pairs: list[tuple[str, object, object]] = [
            ("classes", self.classes, other.classes),
            ("grid", self.grid, other.grid),
            ("extraction version", self.extraction, other.extraction),
        ]
        return [pair for pair in pairs if pair[1] != pair[2]]

    def dump(self) -> dict[str, object]:
        """The schema by value, as JSON types; `parse` reads it back."""
        return {
            **({"untested": list(self.untested)} if self.untested else {}),
            "name": self.name,
            "extraction": self.extraction,
            "classes": list(self.classes),
            "grid": {
                "window_s": self.grid.window_s,
                "stride_s": self.grid.stride_s,
                "step_s": self.grid.step_s,
                "hold_s": self.grid.hold_s,
            },
            "channels": [[*channel.definition(), channel.meaning] for channel in self.channels],
        }


def parse(value: object, where: object) -> Schema:
    """A Schema from what `Schema.dump` gave; raises Refused naming `where` and the field."""
    try:
        needed = ("name", "extraction", "classes", "grid", "channels")
        table = _table(value, "schema", needed, ("untested",))
        place = "schema.channels"
        rows = enumerate(_list(table["channels"], place))
        channels = [_channel(row, f"{place}[{number}]") for number, row in rows]
        version = _version(table["extraction"], "schema.extraction")
        return _schema(table, "schema.", channels, version)
    except Refused as refused:
        raise refused.inside(where) from refused
    except ValueError as error:
        raise Refused(
            where,
            f"schema: {error}",
            "a schema as in docs/reference/store-format.md",
            "Correct it.",
        ) from error


def read(path: Path) -> Schema:
    """A Schema from a TOML file such as `schemas/vm46.toml`; raises Refused."""
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
        table = _table(value, "", ("name", "classes", "grid", "sources"), ("untested",))
        if not isinstance(table["sources"], dict):
            raise _wrong("sources", _is(table["sources"]), "a table a source")
        sources = table["sources"].items()
        channels = [channel for source in sources for channel in _source(*source)]
        return _schema(table, "", channels, EXTRACTION)
    except Refused as refused:
        raise refused.inside(path) from refused
    except OSError as error:
        raise Refused(
            path, error.strerror or str(error), "a schema in TOML", "Check the path."
        ) from error
    except (ValueError, RecursionError) as error:
        raise Refused(
            path, str(error), "a schema like schemas/vm46.toml", "Correct the file."
        ) from error


def vm46() -> Schema:
    """The lab's own 46 channels."""
    with resources.as_file(resources.files("phasewatch") / "schemas" / "vm46.toml") as path:
        return read(path)


# ---------------------------------------------------------------- fields of a file


def _schema(
    table: dict[str, Any], prefix: str, channels: Sequence[Channel], extraction: int
) -> Schema:
    return Schema(
        name=_name(table["name"], f"{prefix}name"),
        channels=tuple(channels),
        classes=_names(table["classes"], f"{prefix}classes"),
        grid=_grid(table["grid"], f"{prefix}grid"),
        extraction=extraction,
        untested=_names(table.get("untested", []), f"{prefix}untested"),
    )


def _grid(value: object, place: str) -> Grid:
    table = _table(value, place, ("window_s", "stride_s", "step_s", "hold_s"))
    for name, length in table.items():
        least = LEAST_STEP_S if name == "step_s" else 0.0
        if type(length) not in (int, float) or not least <= length <= MOST_S:
            expected = f"seconds from {least:g} to {MOST_S:,}"
            raise _wrong(f"{place}.{name}", _is(length), expected)
    grid = Grid(**table)
    if grid.steps > MOST_STEPS:
        problem = f"is {grid.steps:,} times step_s"
        raise _wrong(f"{place}.window_s", problem, f"at most {MOST_STEPS:,} steps a window")
    return grid


def _source(source: str, entry: object) -> list[Channel]:
    place = f"sources.{source}"
    table = _table(entry, place, ("deployed", "channels"), ("meaning",))
    told = []
    for number, row in enumerate(_list(table["channels"], f"{place}.channels")):
        at = f"{place}.channels[{number}]"
        name, unit, kind, meaning = _row(row, at, "name", "unit", "kind", "meaning")
        full = f"{source}.{_name(name, f'{at}: name')}"
        told.append(_channel([full, unit, kind, table["deployed"], meaning], at))
    return told


def _channel(row: object, place: str) -> Channel:
    name, unit, kind, deployed, meaning = _row(
        row, place, "name", "unit", "kind", "deployed", "meaning"
    )
    if not isinstance(deployed, bool):
        raise _wrong(f"{place}: deployed", _is(deployed), "true or false")
    return Channel(
        name=_name(name, f"{place}: name"),
        unit=_text(unit, f"{place}: unit"),
        kind=cast(Kind, _text(kind, f"{place}: kind")),
        deployed=deployed,
        meaning=_text(meaning, f"{place}: meaning"),
    )


def _version(value: object, place: str) -> int:
    if type(value) is not int or not 1 <= value <= EXTRACTION:
        versions = "1" if EXTRACTION == 1 else f"1 to {EXTRACTION}"
        raise _wrong(place, _is(value), f"a version that this release knows: {versions}")
    return value


def _table(
    value: object, place: str, needed: Sequence[str], more: Sequence[str] = ()
) -> dict[str, Any]:
    """A table with the fields that it needs, and no unknown one beside them."""
    expected = f"a table with {', '.join(needed)}"
    if not isinstance(value, dict):
        raise _wrong(place, _is(value), expected)
    wrong = {name: "is missing" for name in needed if name not in value}
    wrong |= {name: "is an unknown field" for name in value if name not in (*needed, *more)}
    for name, problem in wrong.items():
        raise _wrong(f"{place}.{name}" if place else name, problem, expected)
    return value


def _row(value: object, place: str, *names: str) -> Sequence[object]:
    row = _list(value, place)
    if len(row) != len(names):
        count = f"has {len(row)} entr{'y' if len(row) == 1 else 'ies'}"
        raise _wrong(place, count, f"{len(names)}: {', '.join(names)}")
    return row


def _names(value: object, place: str) -> tuple[str, ...]:
    return tuple(_name(own, f"{place}[{at}]") for at, own in enumerate(_list(value, place)))


def _name(value: object, place: str) -> str:
    if not _text(value, place):
        raise _wrong(place, "is empty", "a name")
    return str(value)


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise _wrong(place, _is(value), "a text")
    return value


def _list(value: object, place: str) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise _wrong(place, _is(value), "a list")
    return value


def _is(value: object) -> str:
    return f"is {reprlib.repr(value)}"


def _wrong(place: str, problem: str, expected: str) -> Refused:
    return Refused(place, problem, expected, "Correct it.")
