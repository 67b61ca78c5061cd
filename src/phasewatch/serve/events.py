"""What is told to whoever watches: frozen records, one kind a question, told by producers.

A record carries units in its field names (`_s`, `_ns`, `_bytes`, `_ratio`, `_hz`), null where
something is not known, and nanoseconds as strings, since they do not fit a JSON number. It travels
in a CloudEvents 1.0 envelope. The folder producers/ is the registry: a kind of event is declared in
its producer's file, and its schema is generated from there.
"""

import importlib
import json
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event as Signal
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, TypeAdapter, WithJsonSchema

from phasewatch import __version__
from phasewatch.errors import Refused
from phasewatch.io import atomic
from phasewatch.io.trust import ANY, Trust
from phasewatch.serve import producers
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
    """One thing told. `kind` is its name, `every_s` how often it comes at the least, if ever.

    A new viewer is first told the last `keep` of each subject.
    """

    kind: ClassVar[str]
    keep: ClassVar[int] = 1
    every_s: ClassVar[float | None] = None

    @property
    def subject(self) -> str:
        """What it is about."""
        return self.kind


Tell = Callable[[Event], None]


@dataclass(frozen=True)
class Given:
    """What producers work with: a run's folder, a store, the episodes to play; any may be absent.

    `counted` is where they leave figures for each other; `trust` is asked of every checkpoint.
    """

    run: Path | None
    store: Store | None
    episodes: tuple[str, ...] = ()
    counted: dict[str, Any] = field(default_factory=dict)
    trust: Trust = ANY


class Producer(ABC):
    """Tells events of its `kinds`; `fill` is the command that gives it something to tell."""

    kinds: ClassVar[tuple[type[Event], ...]]
    fill: ClassVar[str]

    def __init__(self, given: Given, tell: Tell) -> None:
        self.given = given
        self.tell = tell

    @abstractmethod
    def work(self, stop: Signal) -> None:
        """Tell all there is to tell until `stop`, in a thread of its own. Raises Refused."""


def find() -> dict[str, type[Producer]]:
    """Every producer there is, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(producers.__path__))
    return {
        name: importlib.import_module(f"{producers.__name__}.{name}").Producer for name in names
    }


def kinds() -> dict[str, type[Event]]:
    """Every kind of event, by name."""
    return {kind.kind: kind for producer in find().values() for kind in producer.kinds}


def type_of(kind: type[Event]) -> str:
    """Its name among CloudEvents."""
    return f"phasewatch.{kind.kind}.v{VERSION}"


def envelope(event: Event, id: str, time_ns: int) -> bytes:
    """The event in its envelope, as one line of JSON."""
    whole = {
        "specversion": "1.0",
        "id": id,
        "source": f"/phasewatch/{_producer(type(event))}",
        "type": type_of(type(event)),
        "subject": event.subject,
        "time": datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds"),
        "datacontenttype": "application/json",
        "dataschema": f"/api/schemas/{event.kind}.v{VERSION}.json",
        "data": event.model_dump(mode="json"),
    }
    return json.dumps(whole, separators=(",", ":"), allow_nan=False).encode()


def _producer(kind: type[Event]) -> str:
    return kind.__module__.rpartition(".")[2]


# ---------------------------------------------------------------- generated documents


def documents() -> dict[str, bytes]:
    """All that is generated from the kinds of events, by file name: what docs/events holds."""
    found = {f"{name}.v{VERSION}.json": _pretty(schema(kind)) for name, kind in kinds().items()}
    return {**found, "asyncapi.json": _pretty(asyncapi())}


def schema(kind: type[Event]) -> dict[str, Any]:
    """JSON Schema of one kind's data."""
    made = TypeAdapter(kind).json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/api/schemas/{kind.kind}.v{VERSION}.json",
        **made,
    }


def asyncapi() -> dict[str, Any]:
    """The stream as an AsyncAPI 3.0 document."""
    messages = {
        name: {
            "name": type_of(kind),
            "title": name,
            "summary": (kind.__doc__ or "").strip().splitlines()[0],
            "contentType": "application/cloudevents+json",
            "payload": {"$ref": f"./{name}.v{VERSION}.json"},
        }
        for name, kind in kinds().items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Phasewatch events", "version": __version__},
        "channels": {
            "events": {
                "address": "/api/events",
                "description": "Server-sent events; `data` is a CloudEvents 1.0 envelope.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            "watch": {"action": "send", "channel": {"$ref": "#/channels/events"}},
        },
        "components": {"messages": messages},
    }


def write(folder: Path) -> list[Path]:
    """Write the generated documents; returns what was written."""
    for name, data in documents().items():
        atomic.write(folder / name, data)
    return [folder / name for name in documents()]


def _pretty(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=False) + "\n").encode()


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
