"""The documents that are generated from the events of all producers: schemas and AsyncAPI."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from phasewatch import __version__
from phasewatch.io import atomic
from phasewatch.serve.events import VERSION, Event, type_of
from phasewatch.serve.registry import kinds


def documents() -> dict[str, bytes]:
    """Return every generated document by file name: what docs/events holds."""
    found = {f"{name}.v{VERSION}.json": _pretty(schema(kind)) for name, kind in kinds().items()}
    return {**found, "asyncapi.json": _pretty(asyncapi())}


def schema(kind: type[Event]) -> dict[str, Any]:
    """Return the JSON Schema of the data of one kind of event."""
    found = TypeAdapter(kind).json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"/api/schemas/{kind.kind}.v{VERSION}.json",
        **found,
    }


def asyncapi() -> dict[str, Any]:
    """Return the stream as an AsyncAPI 3.0 document."""
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
    """Write the generated documents into a folder and return their paths."""
    for name, data in documents().items():
        atomic.write(folder / name, data)
    return [folder / name for name in documents()]


def _pretty(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=False) + "\n").encode()
