"""Drafts as text: valid TOML, with a remark on what is asked."""

import tomllib

from phasewatch.adapters.suggest import grid, toml
from phasewatch.adapters.suggest.channels import Channel
from phasewatch.adapters.suggest.columns.labels import Labels

PARTS = toml.Parts(
    channels=[Channel('a "b"', "?"), Channel(r"x\y", "gauge", "%", optional=True)],
    labels=Labels(('column = "label"',), ("benign", "scan")),
    grid=grid.of_rows(5),
    identity={"host": '"h"', "sample": '{ path = "^(.+)" }'},
    files=[],
    numbers=['decimal = ","'],
    time=['column = "ts"', 'unit = "s"'],
    rows=[],
    pivot=[],
)


def test_both_drafts_are_toml() -> None:
    schema, mapping = tomllib.loads(toml.schema(PARTS)), tomllib.loads(toml.mapping(PARTS))
    assert schema["classes"] == ["benign", "scan"]
    assert [row[:3] for row in schema["sources"]["table"]["channels"]] == [
        ["a_b", "1", "?"],
        ["x_y", "%", "gauge"],
    ]
    assert mapping["numbers"] == {"decimal": ","}
    assert "rows" not in mapping
    assert mapping["channels"] == {
        "table.a_b": 'a "b"',
        "table.x_y": {"column": r"x\y", "optional": True},
    }


def test_a_kind_that_is_asked_has_a_comment() -> None:
    (line,) = (line for line in toml.schema(PARTS).splitlines() if '"a_b"' in line)
    assert "CHECK it only rises" in line
