"""What goes wrong in the field, done to a recording while it runs, never painted on afterwards.

A fault is a function of this file under `@fault`: it gets the running machine and its network,
does its harm, and yields; what comes after the yield is done `lasts_s` later.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phasewatch.lab.machine import NICE, Machine
from phasewatch.lab.network import Tap, die_with_parent
from phasewatch.lab.switch import Switch
from phasewatch.refusal import Refused

BURNERS = 3


@dataclass(frozen=True)
class Scene:
    """What a fault may reach: the machine, its link, and a way to ask the guest."""

    machine: Machine
    net: Tap | Switch
    ask: Callable[[str], None]


Work = Callable[[Scene], Iterator[None]]


@dataclass(frozen=True)
class Fault:
    """One kind of harm.

    It begins at a moment drawn from `between` (shares of the episode) and ends `lasts_s` later;
    `blind` when the capture must not be running before it, `mute` when the agent may stay silent.
    """

    name: str
    between: tuple[float, float]
    lasts_s: float
    blind: bool
    mute: bool
    work: Work


FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    between: tuple[float, float],
    lasts_s: float = 0.0,
    blind: bool = False,
    mute: bool = False,
) -> Callable[[Work], Work]:
    """Register a fault."""

    def register(work: Work) -> Work:
        FAULTS[name] = Fault(name, between, lasts_s, blind, mute, work)
        return work

    return register


def find(name: str) -> Fault:
    """One fault by name; raises Refused with the names there are."""
    if name not in FAULTS:
        raise Refused(f"fault {name}", "is unknown", ", ".join(FAULTS), "Choose one.")
    return FAULTS[name]


@fault("agent-killed", between=(0.3, 0.8), mute=True)
def _agent_killed(scene: Scene) -> Iterator[None]:
    scene.ask("kill agent")
    yield


@fault("capture-late", between=(0.15, 0.6), blind=True)
def _capture_late(scene: Scene) -> Iterator[None]:
    scene.net.watch()
    yield


@fault("clock-step", between=(0.3, 0.7), lasts_s=4.0)
def _clock_step(scene: Scene) -> Iterator[None]:
    # A paused guest does not see the time pass: its clock is behind from then on.
    scene.machine.qmp.ask("stop")
    yield
    scene.machine.qmp.ask("cont")


@fault("pressure", between=(0.2, 0.4), lasts_s=35.0)
def _pressure(scene: Scene) -> Iterator[None]:
    """Busy neighbours on one core, with the machine held there so that others keep theirs."""
    everywhere = os.sched_getaffinity(0)
    core = {min(everywhere)}
    burners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=_neighbour)
        for _ in range(BURNERS)
    ]
    try:
        for task in [*_tasks(scene.machine.process.pid), *(burner.pid for burner in burners)]:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(task, core)
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    for task in _tasks(scene.machine.process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(task, everywhere)


def _neighbour() -> None:
    """In a burner's process: gone with the recorder, and as important as the machine."""
    die_with_parent(signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)


def _tasks(pid: int) -> list[int]:
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
