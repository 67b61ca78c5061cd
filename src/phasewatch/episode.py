"""One recorded run of one machine: identity, time span, labels, and samples per source.

`Samples` refuses at construction what could not be aligned: time that runs back, shapes that
disagree. Whether the clock is Unix time is for the validator to decide, since a bad episode must
be readable to be validated.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from phasewatch.errors import Refused
from phasewatch.schema import NS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Name = Annotated[str, Field(min_length=1)]

UNIX_FLOOR_NS = 946_684_800 * NS
"""2000-01-01: a clock before it was not set, or counts from boot."""

UNIX_CEILING_NS = 4_102_444_800 * NS
"""2100-01-01: a clock after it was not set, or does not count nanoseconds."""

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Label:
    """The beginning of a phase: from `t_wall_ns` on, the machine is in `phase`."""

    t_wall_ns: int
    phase: str


@dataclass(frozen=True)
class Samples:
    """The rows of a source: two clocks `[n]` and values `[n, C]`, NaN where not measured.

    `rate_hz` is the nominal rate: how many rows a second the recorder meant to write.
    """

    names: tuple[str, ...]
    t_wall_ns: Ints
    t_mono_ns: Ints
    values: Floats
    rate_hz: float

    def __post_init__(self) -> None:
        """Raise ValueError for shapes that disagree."""
        rows = len(self.t_wall_ns)
        if self.values.shape != (rows, len(self.names)) or len(self.t_mono_ns) != rows:
            raise ValueError(
                f"{rows} wall times, {len(self.t_mono_ns)} mono times and values of shape "
                f"{self.values.shape} for {len(self.names)} channels"
            )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.t_wall_ns)


@dataclass(frozen=True)
class Provenance:
    """Where an episode comes from.

    `sample` names one parameterisation of `profile` by the digest of its script; `campaign` names
    the stretch of time and the set-up it was recorded in. A manifest with an empty name is refused.
    """

    id: str
    host: Name
    sample: Name
    profile: Name
    campaign: Name

    @property
    def provenance(self) -> dict[str, Any]:
        """The five names alone, by field."""
        return {one.name: getattr(self, one.name) for one in fields(Provenance)}


NAMES = tuple(one.name for one in fields(Provenance) if one.name != "id")
"""The names that several episodes share: host, sample, profile and campaign."""


@dataclass(frozen=True)
class Identity(Provenance):
    """What a split may use of an episode: its names, start and phases, never a measurement."""

    start_ns: int
    phases: frozenset[str]


Span = tuple[int, int]
"""From a time to a later one, both in Unix ns."""


def ambiguous_spans(notes: Mapping[str, object], where: object) -> tuple[Span, ...]:
    """Return the spans that the note `ambiguous` lists; none without the note.

    In them the phase cannot be told from the telemetry, whatever the label says. Raises Refused
    when the note is no list of pairs of whole numbers in order; `where` is what it is a note of.
    """
    found = notes.get("ambiguous", ())
    spans = [_span(one) for one in found] if isinstance(found, list | tuple) else [None]
    if None in spans:
        raise Refused(
            f"{where}: notes.ambiguous",
            f"is {str(found)[:60]}",
            "a list of [from_ns, to_ns] in Unix ns",
            "Correct the note, or remove it.",
            code="ambiguous_note",
        )
    return tuple(span for span in spans if span is not None)


def _span(value: object) -> Span | None:
    """Return a pair of whole numbers in order, or None for anything else."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    begin, end = value
    if type(begin) is not int or type(end) is not int or begin > end:
        return None
    return begin, end


@dataclass(frozen=True)
class Episode(Provenance):
    """One run: identity, span `[start_ns, end_ns)` in Unix ns, labels, samples per source.

    `notes` holds what a recorder adds (tool versions, measured clock offsets, quality figures),
    all of it text or numbers.
    """

    start_ns: int
    end_ns: int
    labels: tuple[Label, ...]
    sources: Mapping[str, Samples]
    notes: Mapping[str, object] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Length of the run in seconds."""
        return (self.end_ns - self.start_ns) / NS
