"""Every fault acts on the machine alone and is undone. Recordings of them are in the corpus."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from phasewatch.errors import Refused
from phasewatch.lab import fault
from phasewatch.lab.fault import FAULTS, Target


@pytest.fixture
def machine() -> "Iterator[subprocess.Popen[bytes]]":
    """A process that stands for a machine."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def target(process: object = None) -> tuple[Target, list[str]]:
    """A target, and the list in which it records its effects."""
    effects: list[str] = []
    qmp = SimpleNamespace(execute=lambda word: effects.append(f"qmp {word}"))
    machine = SimpleNamespace(qmp=qmp, process=process)
    net = SimpleNamespace(watch=lambda: effects.append("watch"))
    return Target(cast(Any, machine), cast(Any, net), effects.append), effects


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_begins_inside_the_episode(name: str) -> None:
    low, high = FAULTS[name].between
    assert 0 < low < high < 1
    assert fault.find(name).name == name


@pytest.mark.parametrize(
    ("name", "effect", "after"),
    [
        ("agent-killed", ["kill agent"], []),
        ("capture-late", ["watch"], []),
        ("clock-step", ["qmp stop"], ["qmp cont"]),
    ],
)
def test_a_fault_takes_effect_and_is_undone_where_possible(
    name: str, effect: list[str], after: list[str]
) -> None:
    where, effects = target()
    work = FAULTS[name].work(where)
    next(work)
    assert effects == effect
    next(work, None)
    assert effects == effect + after


def test_pressure_is_on_one_core_and_goes_away(machine: "subprocess.Popen[bytes]") -> None:
    where, _ = target(machine)
    before, others = os.sched_getaffinity(0), children()
    work = FAULTS["pressure"].work(where)
    next(work)
    neighbours = children() - others
    assert len(neighbours) == fault.BURNERS
    for pid in (machine.pid, *neighbours):
        assert os.sched_getaffinity(pid) == {min(before)}
    next(work, None)
    assert not neighbours & children()
    assert os.sched_getaffinity(machine.pid) == os.sched_getaffinity(0) == before


def test_pressure_goes_away_when_the_recording_breaks_off(
    machine: "subprocess.Popen[bytes]",
) -> None:
    others, work = children(), FAULTS["pressure"].work(target(machine)[0])
    next(work)
    neighbours = children() - others
    assert neighbours
    cast(Any, work).close()
    assert not neighbours & children()


def children() -> set[int]:
    """Return the ids of the child processes of this process."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if int(parent) == os.getpid():
            found.add(int(path.parent.name))
    return found


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Refused, match="agent-killed, capture-late, clock-step, pressure"):
        fault.find("gremlin")
