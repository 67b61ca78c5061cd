"""A wrong field is refused in one line: place, problem, what was expected, what to do."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import Field, model_validator

from phasewatch.errors import Refused
from phasewatch.io import fields


class Port(fields.Row):
    name: str
    number: Annotated[int, Field(ge=1, le=65_535)]


class Host(fields.Table):
    name: Annotated[str, Field(min_length=1)]
    arch: Literal["x86_64", "aarch64"]
    share: float = Field(default=1.0, ge=0, le=1, description="a share from 0 to 1")
    ports: list[Port] = Field(default_factory=list)
    note: str = Field(default="", alias="remark")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.name == self.arch:
            raise fields.wrong("is the architecture's", "a name of its own", "name")
        return self


class Register(fields.Table):
    host: list[Host]
    other: dict[str, Host | None] = Field(default_factory=dict)


GOOD: dict[str, Any] = {"name": "a", "arch": "x86_64"}

WRONG: list[tuple[object, str]] = [
    ([], "here: is []; expected a table with host"),
    ({}, "here: host: is missing; expected a table with host"),
    ({"host": {}}, "here: host: is {}; expected a list"),
    ({"host": [GOOD], "hots": 1}, "here: hots: is an unknown field; expected a table with host"),
    (
        {"host": [{"name": "a"}]},
        "here: host[0]: arch: is missing; expected a table with name",
    ),
    ({"host": [7]}, "here: host[0]: is 7; expected a table with name, arch"),
    ({"host": [{**GOOD, "name": ""}]}, "here: host[0]: name: is empty; expected a name"),
    ({"host": [{**GOOD, "name": 5}]}, "here: host[0]: name: is 5; expected a text"),
    ({"host": [{**GOOD, "arch": "m"}]}, "arch: is 'm'; expected 'x86_64' or 'aarch64'"),
    ({"host": [{**GOOD, "share": True}]}, "share: is True; expected a share from 0 to 1"),
    ({"host": [{**GOOD, "share": float("nan")}]}, "share: is nan; expected a share from 0 to 1"),
    ({"host": [{**GOOD, "remark": 1}]}, "host[0]: remark: is 1; expected a text"),
    ({"host": [{**GOOD, "note": "x"}]}, "host[0]: note: is an unknown field"),
    ({"host": [{**GOOD, "name": "x86_64"}]}, "host[0]: name: is the architecture's; expected a n"),
    ({"host": [{**GOOD, "ports": [["a"]]}]}, "ports[0]: has 1 entry; expected 2: name, number"),
    ({"host": [{**GOOD, "ports": [7]}]}, "ports[0]: is 7; expected a list"),
    ({"host": [{**GOOD, "ports": [["a", 0]]}]}, "ports[0]: number: is 0; expected at least 1"),
    ({"host": [{**GOOD, "ports": [["a", 9e9]]}]}, "number: is 9000000000.0; expected a whole num"),
    (
        {"host": [], "other": {"x": {"arch": "x86_64"}}},
        "other.x.name: is missing; expected a",
    ),
]


@pytest.mark.parametrize(("value", "problem"), WRONG)
def test_the_first_wrong_field_is_named(value: object, problem: str) -> None:
    with pytest.raises(Refused) as refused:
        fields.validate(Register, value, "here", remedy="Mend it.", code="hosts")
    assert problem in str(refused.value)
    assert str(refused.value).endswith(". Mend it.") and "\n" not in str(refused.value)
    assert refused.value.code == "hosts"


def test_a_part_of_a_file_is_named_from_its_root() -> None:
    with pytest.raises(Refused, match=r"^here: schema\.host: is missing"):
        fields.validate(Register, {}, "here", "schema")


def test_a_valid_file_becomes_a_frozen_model() -> None:
    found = fields.validate(Register, {"host": [{**GOOD, "ports": [["ssh", 22]]}]}, "here")
    assert found.host[0].ports[0].number == 22
    with pytest.raises(ValueError, match="frozen"):
        found.host[0].name = "b"


@pytest.mark.parametrize("text", ["x = ", "\x00", "x = " + "[" * 100_000])
def test_invalid_toml_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(Refused, match=r"mine\.toml: .*expected hosts in TOML\. Correct the file"):
        fields.read_toml(path, "hosts")


def test_an_absent_file_and_other_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"No such file.*Check the path"):
        fields.read_toml(tmp_path / "absent", "hosts")
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(Refused, match=r"decode.*expected hosts in TOML"):
        fields.read_toml(tmp_path / "bytes", "hosts")
