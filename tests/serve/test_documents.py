"""The published contract: generated documents are fresh, and every kind keeps the house rules."""

from typing import Any

import pytest
from tests.paths import ROOT

from phasewatch.serve import documents, registry
from phasewatch.serve.events import Event

DOCS = ROOT / "docs" / "events"
KINDS = registry.kinds()


def test_generated_documents_are_fresh() -> None:
    found = documents.documents()
    assert {path.name for path in DOCS.iterdir()} == set(found), "phasewatch events --out"
    stale = [name for name, data in found.items() if (DOCS / name).read_bytes() != data]
    assert not stale, "run: phasewatch events --out docs/events"


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_unknown_fields_are_sent_as_null(kind: type[Event]) -> None:
    schema = documents.schema(kind)
    for name, part in {"itself": schema, **schema.get("$defs", {})}.items():
        if part.get("type") == "object" and "properties" in part:
            assert set(part["required"]) == set(part["properties"]), name
            assert part["additionalProperties"] is False


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_nanoseconds_are_strings_and_nothing_else_is_a_bare_time(kind: type[Event]) -> None:
    def walk(value: Any) -> None:
        for name, part in value.get("properties", {}).items():
            if name.endswith("_ns"):
                types = {one["type"] for one in part.get("anyOf", [part])}
                assert "string" in types and types <= {"string", "null"}, name
        for part in value.get("$defs", {}).values():
            walk(part)

    walk(documents.schema(kind))


def test_asyncapi_names_every_kind() -> None:
    found = documents.asyncapi()
    assert set(found["components"]["messages"]) == set(KINDS)
    assert all(one["summary"] for one in found["components"]["messages"].values())


def test_the_folder_that_is_written_is_the_one_in_docs(tmp_path: Any) -> None:
    written = documents.write(tmp_path)
    assert {path.name: path.read_bytes() for path in written} == {
        path.name: path.read_bytes() for path in DOCS.iterdir()
    }
