"""What events and their producers are: frozen records, published over server-sent events.

A record carries units in its field names (`_s`, `_ns`, `_bytes`, `_ratio`, `_hz`), null where
something is not known, and nanoseconds as strings, since they do not fit a JSON number. It travels
in a CloudEvents 1.0 envelope. Class names, docstrings and fields of records are part of the
published schemas in docs/events, which are generated from them.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Signal
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

from phasewatch.errors import Refused
from phasewatch.experiment.run import Run
from phasewatch.io.trust import ANY, Trust
from phasewatch.serve.counters import Counters
from phasewatch.store.local import Store

VERSION = 1
"""The version of all kinds of events; an incompatible change raises it."""

Nanoseconds = Annotated[
    int,
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^-?[0-9]+$"}),
]
"""Unix time; beyond 2^53, so a string in JSON."""


class Record(BaseModel):
    """A part of an event: frozen, and without fields that are not declared."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


class Event(Record):
    """One message to all viewers.

    `kind` is its name, `source` names its producer in the envelope, `every_s` is the longest time
    between two events of a kind that comes steadily. A new viewer is first sent the last `keep` of
    each subject.
    """

    kind: ClassVar[str]
    source: ClassVar[str]
    keep: ClassVar[int] = 1
    every_s: ClassVar[float | None] = None

    @property
    def subject(self) -> str:
        """What the event is about, as CloudEvents define it: here its kind."""
        return self.kind


Publish = Callable[[Event], None]


@dataclass(frozen=True)
class ProducerContext:
    """What producers work with: a run, a store, and ids of the episodes to play.

    Run and store may be absent. Checkpoints must meet `trust`; `counters` are those of the server.
    `fleet` episodes of the store are played as machines, and `ledger` is the file of incidents:
    beside the store when it is None.
    `baseline` selects recordings that teach levels; None is what the models were trained with.
    """

    run: Run | None
    store: Store | None
    episodes: tuple[str, ...] = ()
    counters: Counters = field(default_factory=Counters)
    trust: Trust = ANY
    fleet: int = 0
    ledger: Path | None = None
    baseline: str | None = None


class Producer(ABC):
    """Publishes events of its `kinds`; `fill` is the command that gives it something to publish."""

    kinds: ClassVar[tuple[type[Event], ...]]
    fill: ClassVar[str]

    def __init__(self, context: ProducerContext, publish: Publish) -> None:
        self.context = context
        self.publish = publish

    @property
    def progress(self) -> str:
        """What the producer does before it publishes anything, in words; empty by default."""
        return ""

    @abstractmethod
    def work(self, stop: Signal) -> None:
        """Publish events until `stop` is set, in a separate thread. Raises Refused."""


def type_of(kind: type[Event]) -> str:
    """Return the CloudEvents `type` of a kind of event."""
    return f"phasewatch.{kind.kind}.v{VERSION}"


def envelope(event: Event, id: str, time_ns: int) -> bytes:
    """Return the event in its CloudEvents envelope, as one line of JSON."""
    value = {
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
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def parse(kind: type[Event], value: object, where: object) -> Event:
    """Return an event from values of the file `where`; raises Refused naming the wrong field."""
    try:
        return kind.model_validate(value)
    except ValueError as error:
        first = str(error).splitlines()
        raise Refused(
            where,
            " ".join(first[1:3]).strip(),
            f"the fields of a {kind.kind} event",
            "Make the run again with this release.",
            code="event_schema",
        ) from error
