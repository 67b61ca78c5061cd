"""Reads a TOML file of the lab into a pydantic model: hosts, profiles and plans alike."""

import json
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from phasewatch.errors import Refused

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
"""For every model of a file: no unknown field, no value that would first have to be converted."""

Shape = TypeVar("Shape", bound=BaseModel)


def read(path: Path, shape: type[Shape], expected: str) -> Shape:
    """The file at `path` as `shape`; raises Refused with the first field that does not fit."""
    try:
        text = path.read_text(encoding="utf-8")
        return shape.model_validate_json(json.dumps(tomllib.loads(text)))
    except OSError as error:
        problem, remedy = error.strerror or str(error), "Check the path."
        raise Refused(path, problem, expected, remedy) from error
    except ValidationError as error:
        raise Refused(path, _told(error), expected, "Correct the field.") from error
    except (TypeError, ValueError) as error:
        raise Refused(path, f"is not TOML: {error}", expected, "Correct the line.") from error


def _told(error: ValidationError) -> str:
    """The first of the errors: the path of its field, and what is wrong with its value."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    value = "" if first["type"] in ("missing", "value_error") else f" ({_short(first['input'])})"
    return f"{place}: {message}{value}" if place else message


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:50]}…"
