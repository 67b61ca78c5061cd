"""A machine elsewhere is what its lines say: its readings, its gaps, and the time it was silent."""

import json
from pathlib import Path

import pytest

from phasewatch.attach.collector import Target
from phasewatch.attach.collectors.received import Collector, usable
from phasewatch.attach.probe import Gone
from phasewatch.attach.watch.lines import line
from phasewatch.attach.watch.watched import Event, Gap, Reading, Watched
from phasewatch.errors import Refused
from phasewatch.io.journal import Journal
from phasewatch.schema import NS

T = 1_790_000_000 * NS


def reading(second: float, source: str = "cpu", machine: str = "pi") -> Reading:
    names = (f"{source}.user", f"{source}.nice") if source == "cpu" else (f"{source}.free",)
    times = T + round(second * NS), round(second * NS)
    return Reading(machine, source, names, *times, [float(second), 7.0][: len(names)])


def add(folder: Path, *events: Event) -> None:
    text = "".join(line(event, many=True) for event in events)
    Journal(folder, 1 << 20).append(text.encode())


def target(path: Path) -> Target:
    return Target(kind="received", target=str(path), network="packets")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    add(tmp_path / "pi", reading(0), reading(0, "mem"))
    return tmp_path / "pi"


def test_readings_are_those_that_were_sent_in_the_order_of_time(folder: Path) -> None:
    said: list[str] = []
    watched = Watched(target(folder), said.append)
    watched.open(0, 0)
    sent = [reading(s, source) for s in (0.5, 1, 1.5) for source in ("cpu", "mem")]
    add(folder, *sent)
    found = watched.read(0, 0)
    assert [(one.machine, one.t_wall_ns) for one in found] == [
        (one.machine, one.t_wall_ns) for one in sent
    ]
    first = found[0]
    assert isinstance(first, Reading) and first.source == "cpu" and first.t_mono_ns == NS // 2
    assert dict(zip(first.names, first.values, strict=True))["cpu.user"] == 0.5
    assert watched.missing()["cpu.system"] == "the sender does not measure it"
    assert watched.read(0, 0) == [] and watched.name == "pi"
    watched.close()


def test_gaps_and_silence_stand_before_what_follows(folder: Path) -> None:
    watched = Watched(target(folder), lambda line: None)
    watched.open(0, 0)
    gap = Gap("pi", T + 3 * NS, "away for 2 s")
    add(folder, reading(1), gap, reading(3), reading(60))
    found = watched.read(0, 0)
    assert found[1] == gap and isinstance(found[2], Reading)
    assert found[3] == Gap("pi", T + 60 * NS, "silent for 57 s")
    assert [type(one).__name__ for one in found] == ["Reading", "Gap", "Reading", "Gap", "Reading"]


def test_lines_that_were_removed_unread_are_a_gap(folder: Path) -> None:
    watched = Watched(target(folder), lambda line: None)
    watched.open(0, 0)
    journal = Journal(folder, 200, file_bytes=200)
    for second in range(1, 60):
        journal.append(line(reading(second), many=True).encode())
    found = watched.read(0, 0)
    gaps = [one for one in found if isinstance(one, Gap)]
    assert [gap.reason for gap in gaps] == ["lines were removed before they were read"]


def test_a_machine_among_several_is_named(folder: Path) -> None:
    add(folder, reading(1, machine="web"))
    with pytest.raises(Refused, match="has the machines pi, web; expected one of them"):
        Collector(target(folder))
    assert Collector(target(folder / "web")).name == "web"
    watched = Watched(target(folder / "web"), lambda line: None)
    watched.open(0, 0)
    add(folder, reading(2), reading(2, machine="web"))
    assert [one.machine for one in watched.read(0, 0)] == ["web"]


def test_the_schema_is_that_of_the_channels(folder: Path, tmp_path: Path) -> None:
    assert Collector.schema_of(target(folder)).name == "host"
    guest = Reading("web", "proc", ("proc.rss",), T, 0, [1.0])
    add(tmp_path / "web", guest)
    assert Collector.schema_of(target(tmp_path / "web")).name == "vm46"
    add(tmp_path / "web", Reading("web", "moon", ("moon.dust",), T, 0, [1.0]))
    with pytest.raises(Refused, match=r"has channels of no schema, such as moon\.dust"):
        Collector.schema_of(target(tmp_path / "web"))


def test_a_machine_of_which_nothing_came_is_gone(tmp_path: Path, folder: Path) -> None:
    for path in (tmp_path / "absent", folder / "absent"):
        with pytest.raises(Gone, match="has come to"):
            Collector(target(path))
    with pytest.raises(Refused, match="received: has no target"):
        Collector(Target(kind="received", network="packets"))


@pytest.mark.parametrize(
    "other",
    [
        [],
        {"machine": 1},
        {"values": None},
        {"t_wall_ns": "1"},
        {"t_wall_ns": True},
        {"t_wall_ns": 2**63},
        {"t_mono_ns": -1},
        {"values": [1]},
        {"values": {"cpu.user": "x"}},
        {"values": {"cpu.user": 10**400}},
        {"source": 1},
    ],
)
def test_a_line_that_is_no_sample_is_left_out(folder: Path, other: object) -> None:
    value = json.loads(line(reading(1), many=True))
    assert usable(value)
    wrong = value | other if isinstance(other, dict) else other
    assert not usable(wrong)
    watched = Watched(target(folder), lambda line: None)
    watched.open(0, 0)
    Journal(folder, 1 << 20).append(json.dumps(wrong).encode() + b"\nno JSON\n")
    add(folder, reading(2))
    assert [one.t_wall_ns for one in watched.read(0, 0)] == [T + 2 * NS]
