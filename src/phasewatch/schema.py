"""What is measured, on which grid, into which classes: frozen values with an ordered fingerprint.

A store carries the Schema it was recorded under and a checkpoint the one it was trained on; binding
one to the other compares definitions, never names alone. Realistic mode is `schema.deployed()`,
oracle mode is the schema itself, so no mask exists that could disagree with anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, cast, get_args

from pydantic import Field, model_validator

from phasewatch.errors import Refused
from phasewatch.io import atomic, fields
from phasewatch.modes import MODES as MODES
from phasewatch.modes import Mode as Mode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["gauge", "counter", "event"]
COUNTER, GAUGE, EVENT = 0, 1, 2
"""The kinds as numbers, for arrays."""


EXTRACTION = 1
"""Version of the code that turns samples into steps; a change of its meaning raises it."""

NS = 1_000_000_000

QUESTION = "?"
"""What a draft writes where the files do not say something, for a person to answer."""

MIN_STEP_S, MAX_S, MAX_STEPS = 0.001, 86_400, 10_000
"""Limits of a grid in a file: shortest step and longest length in seconds, steps per window."""


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
        """Return the fields that define a channel; its meaning is prose and not one of them."""
        return [self.name, self.unit, self.kind, self.deployed]


@dataclass(frozen=True)
class Grid:
    """Window, stride and step in seconds; `hold_s` is how long a value replaces a late sample."""

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
        """The greatest age of a value that fills a step without a sample, in nanoseconds."""
        return round(self.hold_s * NS)

    def definition(self) -> list[object]:
        """Return the lengths in a canonical form, which the fingerprint covers."""
        return [float(self.window_s), float(self.stride_s), float(self.step_s), float(self.hold_s)]


@dataclass(frozen=True)
class SourceColumns:
    """The channels of a source: their names, their rows in the schema, and their kinds.

    `sorts[C]` has `COUNTER`, `GAUGE` or `EVENT` for each.
    """

    names: tuple[str, ...]
    rows: "slice | NDArray[np.int64]"
    sorts: "NDArray[np.int64]"


@dataclass(frozen=True)
class Schema:
    """Ordered channels, ordered classes, a grid, and the version of the extraction code.

    `untested` is prose: what no recording under this schema ever contains; every report prints it.
    """

    name: str
    channels: tuple[Channel, ...]
    classes: tuple[str, ...]
    grid: Grid
    extraction: int = EXTRACTION
    untested: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        """Refuse a schema without channels, with repeated names, or with under two classes."""
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
        """The kind of each channel, by its name."""
        return {channel.name: channel.kind for channel in self.channels}

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Sources in the order of their first channel."""
        return tuple(dict.fromkeys(channel.source for channel in self.channels))

    def channels_of(self, source: str) -> tuple[Channel, ...]:
        """Return the channels of one source, in order; empty for an unknown source."""
        return self._by_source.get(source, ())

    @cached_property
    def _by_source(self) -> dict[str, tuple[Channel, ...]]:
        return {
            source: tuple(channel for channel in self.channels if channel.source == source)
            for source in self.sources
        }

    @cached_property
    def columns(self) -> dict[str, SourceColumns]:
        """Where the channels of each source stand, in the order of `sources`."""
        return {source: self._columns_of(source) for source in self.sources}

    def _columns_of(self, source: str) -> SourceColumns:
        import numpy as np

        rows = [row for row, one in enumerate(self.channels) if one.source == source]
        adjoin = rows == list(range(rows[0], rows[-1] + 1))
        numbers = {"counter": COUNTER, "gauge": GAUGE, "event": EVENT}
        return SourceColumns(
            tuple(self.channels[row].name for row in rows),
            slice(rows[0], rows[-1] + 1) if adjoin else np.array(rows),
            np.array([numbers[self.channels[row].kind] for row in rows]),
        )

    def deployed(self) -> "Schema":
        """Return the schema of realistic mode: only what a deployed defender can see and trust."""
        trusted = tuple(channel for channel in self.channels if channel.deployed)
        return replace(self, channels=trusted)

    def for_mode(self, mode: Mode) -> "Schema":
        """Return the schema that a model of this mode gets. Raises Refused for any other word."""
        if mode not in MODES:
            known = " or ".join(MODES)
            raise Refused(f"mode {mode!r}", "is unknown", known, "Use one of these.")
        return self.deployed() if mode == "realistic" else self

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that differ: only one where all channels are deployed or none is."""
        kinds = {channel.deployed for channel in self.channels}
        return MODES if len(kinds) > 1 else ("realistic" if True in kinds else "oracle",)

    def definition(self) -> dict[str, object]:
        """Return everything that gives the numbers their meaning, in order, as JSON types."""
        return {
            "channels": [channel.definition() for channel in self.channels],
            "classes": list(self.classes),
            "grid": self.grid.definition(),
            "extraction": self.extraction,
        }

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the canonical, ordered definition."""
        return atomic.digest(self.definition())

    def incompatibilities(self, other: "Schema") -> list[str]:
        """Return what this schema requires and `other` lacks or defines otherwise, one line each.

        Channels that only `other` has, and its order, do not matter: samples are bound by name, in
        the order of this schema.
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
        """Return the schema by value, as JSON types; `parse` reads it back."""
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
    """Return the Schema that `Schema.dump` gave. Raises Refused naming `where` and the field."""
    file = fields.validate(_Dump, value, where, "schema")
    channels = [Channel(**dict(row)) for row in file.channels]
    return _schema(file, channels, file.extraction, f"{where}: schema")


def read(path: Path) -> Schema:
    """Return the Schema of a TOML file such as `schemas/vm46.toml`. Raises Refused."""
    return parse_fields(fields.read_toml(path, "a schema like schemas/vm46.toml"), path)


def parse_fields(value: dict[str, object], path: object) -> Schema:
    """Return the Schema of the fields of a TOML file. Raises Refused naming `path` and field."""
    file = fields.validate(_File, value, path)
    if QUESTION in file.classes:
        problem = "leaves open which class is benign"
        expected = f'the benign class first, and no "{QUESTION}"'
        raise Refused(f"{path}: classes", problem, expected, "Correct the schema.")
    channels = [
        Channel(f"{source}.{row.name}", row.unit, cast(Kind, row.kind), table.deployed, row.meaning)
        for source, table in file.sources.items()
        for row in table.channels
    ]
    return _schema(file, channels, EXTRACTION, path)


def vm46() -> Schema:
    """Return the schema of the lab's recordings, with its 46 channels."""
    return shipped("vm46")


def shipped(name: str) -> Schema:
    """Return one of the schemas that Phasewatch comes with. Raises Refused for an unknown name."""
    folder = resources.files("phasewatch") / "schemas"
    known = sorted(Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".toml"))
    if name not in known:
        raise Refused(f"schema {name}", "is unknown", f"one of {', '.join(known)}", "Choose one.")
    with resources.as_file(folder / f"{name}.toml") as path:
        return read(path)


# ---------------------------------------------------------------- fields of a file

_Name = Annotated[str, Field(min_length=1)]
_Length = Annotated[float, Field(ge=0, le=MAX_S, description=f"seconds from 0 to {MAX_S:,}")]
_Step = Annotated[
    float,
    Field(
        ge=MIN_STEP_S,
        le=MAX_S,
        description=f"seconds from {MIN_STEP_S:g} to {MAX_S:,}",
    ),
]
_VERSIONS = "1" if EXTRACTION == 1 else f"1 to {EXTRACTION}"


class _Grid(fields.Table):
    """The grid of a file; `Grid` refuses lengths that do not fit each other."""

    window_s: _Length
    stride_s: _Length
    step_s: _Step
    hold_s: _Length

    @model_validator(mode="after")
    def _few_steps(self) -> Self:
        if (steps := round(self.window_s / self.step_s)) > MAX_STEPS:
            expected = f"at most {MAX_STEPS:,} steps a window"
            raise fields.wrong(f"is {steps:,} times step_s", expected, "window_s")
        return self


class _DumpedChannel(fields.Row):
    name: _Name
    unit: str
    kind: str
    deployed: bool
    meaning: str


class _Channel(fields.Row):
    name: _Name
    unit: str
    kind: str
    meaning: str


class _Source(fields.Table):
    deployed: bool
    channels: list[_Channel]
    meaning: object = None


class _Frame(fields.Table):
    """The fields that both forms of a schema have in common."""

    name: _Name
    classes: list[_Name]
    grid: _Grid
    untested: list[_Name] = Field(default_factory=list)


class _Dump(_Frame):
    """A schema as `Schema.dump` gives it."""

    extraction: int = Field(
        ge=1, le=EXTRACTION, description=f"a version that this release knows: {_VERSIONS}"
    )
    channels: list[_DumpedChannel]


class _File(_Frame):
    """A schema as people write it in TOML: channels under their source."""

    sources: dict[str, _Source]


def _schema(file: _Frame, channels: Sequence[Channel], extraction: int, where: object) -> Schema:
    try:
        return Schema(
            name=file.name,
            channels=tuple(channels),
            classes=tuple(file.classes),
            grid=Grid(**dict(file.grid)),
            extraction=extraction,
            untested=tuple(file.untested),
        )
    except ValueError as error:
        raise Refused(
            where, str(error), "a schema as in docs/reference/store-format.md", "Correct it."
        ) from error
