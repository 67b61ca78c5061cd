"""Validates fields of files that people or other machines wrote with pydantic models.

A `Table` says which fields a file has and of what type; what is wrong with one is `Refused` in one
line that names the file, the field, what it holds, and what was expected there. What is expected
of a field is its `description`, where it has one, or else follows from its type.
"""

import reprlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from phasewatch.errors import Refused


class Table(BaseModel):
    """A table of a file: every field is of its type exactly, and unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Row(Table):
    """A table that is written as a list of its fields, in their order."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        names = list(cls.model_fields)
        if not isinstance(value, list | tuple):
            raise wrong(f"is {reprlib.repr(value)}", "a list")
        if len(value) != len(names):
            count = f"{len(value)} entr{'y' if len(value) == 1 else 'ies'}"
            raise wrong(f"has {count}", f"{len(names)}: {', '.join(names)}")
        return dict(zip(names, value, strict=True))


T = TypeVar("T", bound=BaseModel)
Item = TypeVar("Item")
Tuple = Annotated[tuple[Item, ...], Field(strict=False)]
"""A list in a file, as a tuple; the types of its entries are checked as strictly."""


def wrong(problem: str, expected: str, field: str = "") -> PydanticCustomError:
    """Return the error for a validator of a model: a problem of the table, or of its `field`."""
    context = {"problem": problem, "expected": expected, "field": field}
    return PydanticCustomError("wrong", "{problem}", context)


def read_toml(path: Path, what: str, code: str = "refused") -> dict[str, Any]:
    """Return the content of a TOML file that should hold `what`, such as "a mapping".

    Raises Refused where there is none, or where it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = error.strerror or str(error)
        raise Refused(path, problem, f"{what} in TOML", "Check the path.", code) from error
    except (ValueError, RecursionError) as error:
        raise Refused(path, str(error), f"{what} in TOML", "Correct the file.", code) from error


def read(path: Path, model: type[T], what: str, code: str = "refused") -> T:
    """Return a TOML file that should hold `what` as a model. Raises Refused as `validate` does."""
    return validate(
        model, read_toml(path, what, code), path, remedy="Correct the field.", code=code
    )


def validate(
    model: type[T],
    value: object,
    where: object,
    root: str = "",
    remedy: str = "Correct it.",
    code: str = "refused",
) -> T:
    """Return `value`, which was read from `where`, as a model.

    `root` is the path of `value` in that file, where it is a part of it. Raises Refused for the
    first field that is missing, unknown or of another type.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        place, problem, expected = first(error, model, root)
        where = f"{where}: {place}" if place else where
        raise Refused(where, problem, expected, remedy, code) from error


def first(error: ValidationError, model: type[BaseModel], root: str = "") -> tuple[str, str, str]:
    """Return the first error of a model: its place, the problem, and what was expected."""
    detail = error.errors()[0]
    path = [part for part in detail["loc"] if part != "[key]"]
    context = detail.get("ctx", {})
    if detail["type"] == "wrong":
        path += [context["field"]] if context["field"] else []
        return _place(root, path), context["problem"], context["expected"]
    return _place(root, path), _problem(detail), _expected(detail, model, path)


def _place(root: str, path: Sequence[int | str]) -> str:
    """Return a path as text, such as `channels[1]: kind`."""
    text, in_list = root, False
    for part in path:
        apart = ": " if in_list else "." if text else ""
        text += f"[{part}]" if isinstance(part, int) else f"{apart}{part}"
        in_list = isinstance(part, int)
    return text


_PROBLEMS = {"missing": "is missing", "extra_forbidden": "is an unknown field"}
_EXPECTED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "string_type": lambda context: "a text",
    "list_type": lambda context: "a list",
    "tuple_type": lambda context: "a list",
    "dict_type": lambda context: "a table",
    "bool_type": lambda context: "true or false",
    "int_type": lambda context: "a whole number",
    "int_from_float": lambda context: "a whole number",
    "float_type": lambda context: "a number",
    "finite_number": lambda context: "a finite number",
    "string_too_short": lambda context: "a name",
    "too_short": lambda context: f"at least {context['min_length']}",
    "too_long": lambda context: f"at most {context['max_length']}",
    "greater_than": lambda context: f"more than {context['gt']:,}",
    "greater_than_equal": lambda context: f"at least {context['ge']:,}",
    "less_than": lambda context: f"less than {context['lt']:,}",
    "less_than_equal": lambda context: f"at most {context['le']:,}",
    "literal_error": lambda context: f"{context['expected']}",
    "string_pattern_mismatch": lambda context: f"a text that fits {context['pattern']}",
}
"""The expected value, in words, for each type of pydantic error."""


def _problem(detail: ErrorDetails) -> str:
    """Return what is wrong with a value, in words."""
    if detail["type"] in _PROBLEMS:
        return _PROBLEMS[detail["type"]]
    if detail["type"] in ("value_error", "assertion_error"):
        return str(detail["ctx"]["error"])
    return "is empty" if detail["input"] == "" else f"is {reprlib.repr(detail['input'])}"


def _expected(detail: ErrorDetails, model: type[BaseModel], path: Sequence[int | str]) -> str:
    """Return what was expected of the field at `path`, in words."""
    if detail["type"] in _PROBLEMS:
        return _fields(_find(model, path[:-1]))
    found = _find(model, path)
    if isinstance(found, FieldInfo) and found.description:
        return found.description
    if detail["type"] == "model_type":
        return _fields(found)
    known = _EXPECTED.get(detail["type"])
    return known(detail.get("ctx", {})) if known else detail["msg"]


def _fields(found: object) -> str:
    """Return which fields a table needs."""
    kind = _model(found)
    if kind is None:
        return "a table"
    needed = [
        field.alias or name for name, field in kind.model_fields.items() if field.is_required()
    ]
    every = needed or [field.alias or name for name, field in kind.model_fields.items()]
    return f"a table with {', '.join(every)}"


def _find(model: type[BaseModel], path: Sequence[int | str]) -> object:
    """Return the field, or the type of the entry, that a path in a model leads to."""
    found: object = model
    for part in path:
        kind = _model(found)
        if kind is not None and isinstance(part, str):
            named = {field.alias or name: field for name, field in kind.model_fields.items()}
            found = named.get(part)
        else:
            entries = [one for one in get_args(_type(found)) if one is not ...]
            found = entries[-1] if entries else None
    return found


def _type(found: object) -> object:
    """Return the type of a field, and a type as it is."""
    return found.annotation if isinstance(found, FieldInfo) else found


def _model(found: object) -> type[BaseModel] | None:
    """Return the model that a field holds, or is optional for; None where it holds none."""
    kind = _type(found)
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    models = (one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel))
    return next(models, None)
