import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from phasewatch import schema
from phasewatch.errors import Refused
from phasewatch.schema import Channel, Grid, Schema

VM46 = schema.vm46()


def test_vm46_has_the_documented_channels() -> None:
    assert [len(VM46.channels_of(source)) for source in VM46.sources] == [12, 14, 8, 12]
    assert VM46.sources == ("proc", "guest", "qmp", "netflow")
    assert len(VM46.classes) == 6
    assert VM46.grid.steps == 20
    assert all(channel.meaning and channel.unit for channel in VM46.channels)


def test_only_the_guest_is_oracle_only() -> None:
    hidden = {channel.source for channel in VM46.channels if not channel.deployed}
    assert hidden == {"guest"}
    assert VM46.deployed().sources == ("proc", "qmp", "netflow")
    assert VM46.for_mode("realistic") == VM46.deployed()
    assert VM46.for_mode("oracle") == VM46


def test_a_mode_that_is_neither_is_refused_with_both() -> None:
    with pytest.raises(Refused, match="mode 'realistik': is unknown; expected realistic or oracle"):
        VM46.for_mode(cast(Any, "realistik"))


def test_the_fingerprint_depends_on_order_unit_kind_trust_grid_and_classes() -> None:
    first, *rest = VM46.channels
    others = [
        replace(VM46, channels=(*rest, first)),
        replace(VM46, channels=(replace(first, unit="s"), *rest)),
        replace(VM46, channels=(replace(first, kind="gauge"), *rest)),
        replace(VM46, channels=(replace(first, deployed=False), *rest)),
        replace(VM46, grid=replace(VM46.grid, window_s=20.0)),
        replace(VM46, classes=VM46.classes[::-1]),
        replace(VM46, extraction=VM46.extraction + 1),
    ]
    assert len({one.fingerprint for one in [VM46, *others]}) == 1 + len(others)
    assert replace(VM46, channels=(replace(first, meaning="new words"), *rest)).fingerprint == (
        VM46.fingerprint
    )


def test_gaps_name_what_differs_and_ignore_order_and_extras() -> None:
    first, *rest = VM46.channels
    extra = Channel("proc.new", "s", "gauge", True, "a 47th channel")
    assert VM46.incompatibilities(replace(VM46, channels=(extra, *rest[::-1], first))) == []
    assert VM46.incompatibilities(replace(VM46, channels=tuple(rest))) == [
        f"channel {first.name} is missing"
    ]
    moved = VM46.incompatibilities(replace(VM46, channels=(replace(first, unit="ms"), *rest)))
    assert moved == [f"channel {first.name}: unit 'ns' is now 'ms'"]
    assert (
        "grid" in VM46.incompatibilities(replace(VM46, grid=replace(VM46.grid, window_s=20.0)))[0]
    )
    assert "classes" in VM46.incompatibilities(replace(VM46, classes=VM46.classes[::-1]))[0]


def test_the_untested_field_is_stored_and_changes_no_fingerprint() -> None:
    bare = replace(VM46, untested=())
    assert VM46.untested and "untested" not in bare.dump()
    assert schema.parse(VM46.dump(), "here").untested == VM46.untested
    assert (
        bare == VM46 and bare.fingerprint == VM46.fingerprint and not bare.incompatibilities(VM46)
    )


def test_dump_and_parse_are_inverse() -> None:
    assert schema.parse(VM46.dump(), "here") == VM46


@pytest.mark.parametrize("value", [None, {}, {**VM46.dump(), "grid": {"window_s": 1}}])
def test_parse_refuses_with_the_place(value: object) -> None:
    with pytest.raises(Refused, match="here"):
        schema.parse(value, "here")


def changed(path: str, value: object) -> dict[str, Any]:
    """The dump of VM46 with another value at a dotted path."""
    dumped = json.loads(json.dumps(VM46.dump()))
    *outer, last = path.split(".")
    table: Any = dumped
    for name in outer:
        table = table[int(name)] if name.isdigit() else table[name]
    table[int(last) if last.isdigit() else last] = value
    return cast(dict[str, Any], dumped)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("classes", "benign", r"schema\.classes: is 'benign'; expected a list"),
        ("classes.0", 5, r"schema\.classes\[0\]: is 5; expected a text"),
        ("classes.0", "", r"schema\.classes\[0\]: is empty"),
        ("name", 5, r"schema\.name: is 5; expected a text"),
        ("nmae", "x", r"schema\.nmae: is an unknown field"),
        ("extraction", 99, r"schema\.extraction: is 99; expected a version"),
        ("extraction", -1, r"schema\.extraction: is -1"),
        ("extraction", True, r"schema\.extraction: is True"),
        (
            "grid",
            [10, 5, 1, 1],
            r"schema\.grid: is \[10, 5, 1, 1\]; expected a table with window_s",
        ),
        ("grid.hop_s", 1, r"schema\.grid\.hop_s: is an unknown field"),
        ("grid.window_s", 1e300, r"schema\.grid\.window_s: is 1e\+300; expected seconds"),
        ("grid.window_s", "10", r"schema\.grid\.window_s: is '10'; expected seconds"),
        ("grid.window_s", 6000, r"schema\.grid\.window_s: is 12,000 times step_s"),
        ("grid.stride_s", float("inf"), r"schema\.grid\.stride_s: is inf"),
        ("grid.step_s", 1e-9, r"schema\.grid\.step_s: is 1e-09; expected seconds from 0\.001"),
        ("grid.step_s", float("nan"), r"schema\.grid\.step_s: is nan"),
        ("grid.hold_s", 90_000, r"schema\.grid\.hold_s: is 90000"),
        ("grid.hold_s", True, r"schema\.grid\.hold_s: is True"),
        ("channels", {"a": 1}, r"schema\.channels: is \{'a': 1\}; expected a list"),
        ("channels.1", ["a.b"], r"schema\.channels\[1\]: has 1 entry; expected 5: name, unit"),
        ("channels.1.2", None, r"schema\.channels\[1\]: kind: is None; expected a text"),
        ("channels.1.3", 1, r"schema\.channels\[1\]: deployed: is 1; expected true or false"),
        ("untested", "malware", r"schema\.untested: is 'malware'; expected a list"),
    ],
)
def test_parse_names_the_field_and_what_was_expected(
    path: str, value: object, problem: str
) -> None:
    with pytest.raises(Refused, match=f"^here: {problem}"):
        schema.parse(changed(path, value), "here")


def test_values_at_the_bounds_are_accepted() -> None:
    grid = {"window_s": 10, "stride_s": 86_400, "step_s": 0.001, "hold_s": 86_400}
    assert schema.parse(changed("grid", grid), "here").grid.steps == 10_000


TOML = """name = "mine"
classes = ["calm", "busy"]
[grid]
window_s = 10
stride_s = 5
step_s = 1
hold_s = 2
[sources.proc]
deployed = true
channels = [["run", "s", "counter", "time"]]
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('["calm", "busy"]', '"calm"', r"classes: is 'calm'; expected a list"),
        ("step_s = 1", "step_s = nan", r"grid\.step_s: is nan; expected seconds"),
        ("step_s = 1", "step_s = '1'", r"grid\.step_s: is '1'; expected seconds"),
        ("deployed = true", "deployed = 1", r"sources\.proc\.deployed: is 1; expected true"),
        ("deployed", "deplyoed", r"sources\.proc\.deployed: is missing"),
        ('"run", ', "", r"sources\.proc\.channels\[0\]: has 3 entries; expected 4: name, unit"),
        ('"run"', "7", r"sources\.proc\.channels\[0\]: name: is 7; expected a text"),
        ("[sources.proc]", "[sources]", r"sources\.deployed: is True; expected a table"),
        ("[grid]", "gird = 1\n[grid]", r"gird: is an unknown field"),
    ],
)
def test_read_names_the_field_and_what_was_expected(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TOML)
    assert schema.read(path).names == ("proc.run",)
    path.write_text(TOML.replace(old, new))
    with pytest.raises(Refused, match=rf"mine\.toml: {problem}"):
        schema.read(path)


def test_read_names_the_file_and_the_field(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("name = 'mine'\n")
    with pytest.raises(Refused, match=r"mine\.toml.*sources"):
        schema.read(path)
    with pytest.raises(Refused, match="absent"):
        schema.read(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    "grid", [(10, 5, 3, 3), (0, 5, 1, 1), (10, 5, 0, 1), (10, 5, 1, 0.5), (10, 0, 1, 1)]
)
def test_grid_refuses_steps_that_do_not_divide_the_window(
    grid: tuple[float, float, float, float],
) -> None:
    with pytest.raises(ValueError, match="grid"):
        Grid(*grid)


def test_schema_refuses_duplicate_and_invalid_names() -> None:
    one = Channel("a.b", "s", "gauge", True, "")
    grid = Grid(10, 5, 1, 2)
    for channels, classes in (
        ((one, one), ("x", "y")),
        ((one,), ("x", "x")),
        ((one,), ("x",)),
        ((), ("x", "y")),
        ((replace(one, name="ab"),), ("x", "y")),
        ((replace(one, name="a.b.c"),), ("x", "y")),
    ):
        with pytest.raises(ValueError, match=r".+"):
            Schema("s", channels, classes, grid)
