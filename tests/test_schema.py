from dataclasses import replace
from pathlib import Path

import pytest

from phasewatch import schema
from phasewatch.refusal import Refused
from phasewatch.schema import Channel, Grid, Schema

VM46 = schema.vm46()


def test_vm46_is_what_the_docs_say() -> None:
    assert [len(VM46.of(source)) for source in VM46.sources] == [12, 14, 8, 12]
    assert VM46.sources == ("proc", "guest", "qmp", "netflow")
    assert len(VM46.classes) == 6
    assert VM46.grid.steps == 20
    assert all(channel.meaning and channel.unit for channel in VM46.channels)


def test_only_the_guest_is_oracle_only() -> None:
    hidden = {channel.source for channel in VM46.channels if not channel.deployed}
    assert hidden == {"guest"}
    assert VM46.deployed().sources == ("proc", "qmp", "netflow")
    assert VM46.mode("realistic") == VM46.deployed()
    assert VM46.mode("oracle") == VM46


def test_fingerprint_sees_order_unit_kind_trust_grid_and_classes() -> None:
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
    assert len({own.fingerprint for own in [VM46, *others]}) == 1 + len(others)
    assert replace(VM46, channels=(replace(first, meaning="new words"), *rest)).fingerprint == (
        VM46.fingerprint
    )


def test_gaps_name_what_differs_and_ignore_order_and_extras() -> None:
    first, *rest = VM46.channels
    extra = Channel("proc.new", "s", "gauge", True, "a 47th channel")
    assert VM46.gaps(replace(VM46, channels=(extra, *rest[::-1], first))) == []
    assert VM46.gaps(replace(VM46, channels=tuple(rest))) == [f"channel {first.name} is missing"]
    moved = VM46.gaps(replace(VM46, channels=(replace(first, unit="ms"), *rest)))
    assert moved == [f"channel {first.name}: unit 'ns' is now 'ms'"]
    assert "grid" in VM46.gaps(replace(VM46, grid=replace(VM46.grid, window_s=20.0)))[0]
    assert "classes" in VM46.gaps(replace(VM46, classes=VM46.classes[::-1]))[0]


def test_what_is_never_recorded_travels_and_changes_no_meaning() -> None:
    bare = replace(VM46, untested=())
    assert VM46.untested and "untested" not in bare.dump()
    assert schema.parse(VM46.dump(), "here").untested == VM46.untested
    assert bare == VM46 and bare.fingerprint == VM46.fingerprint and not bare.gaps(VM46)


def test_dump_and_parse_are_inverse() -> None:
    assert schema.parse(VM46.dump(), "here") == VM46


@pytest.mark.parametrize("value", [None, {}, {**VM46.dump(), "grid": {"window_s": 1}}])
def test_parse_refuses_with_the_place(value: object) -> None:
    with pytest.raises(Refused, match="here"):
        schema.parse(value, "here")


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
def test_grid_refuses_what_does_not_divide(grid: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="grid"):
        Grid(*grid)


def test_schema_refuses_doubles_and_bad_names() -> None:
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
