"""What is told to whoever watches: frozen records, one kind a question, told by producers.

A record carries units in its field names (`_s`, `_ns`, `_bytes`, `_ratio`, `_hz`), null where
something is not known, and nanoseconds as strings, since they do not fit a JSON number. It travels
in a CloudEvents 1.0 envelope. The folder producers/ is the registry: a kind of event is declared in
its producer's file, and its schema is generated from there.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event as Signal
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

from phasewatch.errors import Refused
from phasewatch.experiment.run import Run
from phasewatch.io.trust import ANY, Trust
from phasewatch.store.local import Store

VERSION = 1
"""Of all kinds of events; a change that a reader could trip over raises it."""

Nanoseconds = Annotated[
    int,
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^-?[0-9]+$"}),
]
"""Unix time; beyond 2^53, so a string in JSON."""


class Record(BaseModel):
    """A part of an event: frozen, and nothing in it that is not declared."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


class Event(Record):
    """One message to whoever watches.

    `kind` is its name, `source` that of its producer, `every_s` how often it comes at the least, if
    ever. A new viewer is first sent the last `keep` of each subject.
    """

    kind: ClassVar[str]
    source: ClassVar[str]
    keep: ClassVar[int] = 1
    every_s: ClassVar[float | None] = None

    @property
    def subject(self) -> str:
        """What it is about."""
        return self.kind


Publish = Callable[[Event], None]


@dataclass(frozen=True)
class ProducerContext:
    """What producers work with: a run, a store, the episodes to play; any may be absent.

    `counted` is where they leave figures for each other; `trust` is asked of every checkpoint.
    """

    run: Run | None
    store: Store | None
    episodes: tuple[str, ...] = ()
    counted: dict[str, Any] = field(default_factory=dict)
    trust: Trust = ANY


class Producer(ABC):
    """Tells events of its `kinds`; `fill` is the command that gives it something to tell."""

    kinds: ClassVar[tuple[type[Event], ...]]
    fill: ClassVar[str]

    def __init__(self, given: ProducerContext, tell: Publish) -> None:
        self.given = given
        self.tell = tell

    @abstractmethod
    def work(self, stop: Signal) -> None:
        """Tell all there is to tell until `stop`, in a thread of its own. Raises Refused."""


def type_of(kind: type[Event]) -> str:
    """Its name among CloudEvents."""
    return f"phasewatch.{kind.kind}.v{VERSION}"


def envelope(event: Event, id: str, time_ns: int) -> bytes:
    """The event in its envelope, as one line of JSON."""
    whole = {
        "specversion": "1.0",
        "id": id,
        "source": f"/phasewatch/{event.source}",
        "type": type_of(type(event)),
        "subject": event.subject,
        "time": datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds"),
        "datacontenttype": "application/json",
        "dataschema": f"/api/schemas/{event.kind}.v{VERSION}.json",
        "data": event.model_dump(mode="json"),
    }
    return json.dumps(whole, separators=(",", ":"), allow_nan=False).encode()


def parse(kind: type[Event], value: object, where: object) -> Event:
    """An event from values of a file; raises Refused naming the field that does not fit."""
    try:
        return kind.model_validate(value)
    except ValueError as error:
        first = str(error).splitlines()
        raise Refused(
            where,
            " ".join(first[1:3]).strip(),
            f"what a {kind.kind} event is made of",
            "Make the run again with this release.",
            code="event_schema",
        ) from error
