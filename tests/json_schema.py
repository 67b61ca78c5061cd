"""Checks a value against a JSON Schema, as far as the schemas that tests hold use the language."""

from collections.abc import Iterator
from typing import Any

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}
KNOWN = {"$defs", "$id", "$ref", "$schema", "additionalProperties", "anyOf", "const", "deprecated"}
KNOWN |= {"description", "enum", "items", "pattern", "format", "properties", "required", "title"}
KNOWN |= {"type", "maxLength", "minLength", "minimum", "maximum", "oneOf", "allOf", "default"}


def violations(
    value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = ""
) -> Iterator[str]:
    """Yield what a value violates, one line each. Raises ValueError for an unknown keyword."""
    if unknown := schema.keys() - KNOWN:
        raise ValueError(f"keywords {unknown} are not checked")
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from violations(value, root["$defs"][name], root, at)
    kind = schema.get("type")
    if isinstance(kind, str) and not isinstance(value, TYPES[kind]):
        yield f"{at}: {value!r} is no {kind}"
        return
    yield from _choices(value, schema, root, at)
    if isinstance(value, dict):
        yield from _members(value, schema, root, at)
    if isinstance(value, list) and "items" in schema:
        for place, one in enumerate(value):
            yield from violations(one, schema["items"], root, f"{at}[{place}]")


def _members(
    value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], at: str
) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}.{name}: is missing"
    for name, one in value.items():
        if name in properties:
            yield from violations(one, properties[name], root, f"{at}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{at}.{name}: is unknown"


def _choices(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "anyOf" in schema:
        each = [list(violations(value, one, root, at)) for one in schema["anyOf"]]
        if all(each):
            yield f"{at}: none of the choices: {each[0]}"
