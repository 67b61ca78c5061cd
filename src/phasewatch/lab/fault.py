"""Fault injection: failures that occur in the field, caused on purpose while a recording runs.

A fault is a function of this file under `@fault`. It gets the running machine and its network,
injects the fault and yields; what comes after the yield undoes it `lasts_s` seconds later.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phasewatch.errors import Refused
from phasewatch.lab.machine import Machine
from phasewatch.lab.network import NICE, Tap, die_with_parent, take_priority
from phasewatch.lab.switch import Switch

BURNERS = 3
"""Processes that compute without a pause during the fault "pressure"."""


@dataclass(frozen=True)
class Target:
    """What a fault acts on: the machine, its network, and `send`, which sends the guest a line."""

    machine: Machine
    net: Tap | Switch
    send: Callable[[str], None]


Work = Callable[[Target], Iterator[None]]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    It begins at a time drawn from `between`, two fractions of the episode, and ends `lasts_s`
    seconds later. With `delays_capture` the packet capture does not run before the fault begins.
    With `stops_agent` the guest's agent may send nothing afterwards.
    """

    name: str
    between: tuple[float, float]
    lasts_s: float
    delays_capture: bool
    stops_agent: bool
    work: Work


FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    between: tuple[float, float],
    lasts_s: float = 0.0,
    delays_capture: bool = False,
    stops_agent: bool = False,
) -> Callable[[Work], Work]:
    """Register the decorated function under `name`; the parameters are the fields of `Fault`."""

    def register(work: Work) -> Work:
        FAULTS[name] = Fault(name, between, lasts_s, delays_capture, stops_agent, work)
        return work

    return register


def find(name: str) -> Fault:
    """Return a fault by its name. Raises Refused, which lists the known names."""
    if name not in FAULTS:
        raise Refused(f"fault {name}", "is unknown", ", ".join(FAULTS), "Choose one.")
    return FAULTS[name]


@fault("agent-killed", between=(0.3, 0.8), stops_agent=True)
def _agent_killed(target: Target) -> Iterator[None]:
    target.send("kill agent")
    yield


@fault("capture-late", between=(0.15, 0.6), delays_capture=True)
def _capture_late(target: Target) -> Iterator[None]:
    target.net.watch()
    yield


@fault("clock-step", between=(0.3, 0.7), lasts_s=4.0)
def _clock_step(target: Target) -> Iterator[None]:
    # A paused guest does not notice that time passes: its clock is behind from then on.
    target.machine.qmp.execute("stop")
    yield
    target.machine.qmp.execute("cont")


@fault("pressure", between=(0.2, 0.4), lasts_s=35.0)
def _pressure(target: Target) -> Iterator[None]:
    """Run busy processes on one core and bind the machine to it; other guests are left alone."""
    everywhere = os.sched_getaffinity(0)
    core = {min(everywhere)}
    burners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=_neighbour)
        for _ in range(BURNERS)
    ]
    tasks = _tasks(target.machine.process.pid)
    before = os.sched_getscheduler(tasks[0]), os.sched_getparam(tasks[0])
    try:
        _hold(tasks, core, os.SCHED_OTHER, os.sched_param(0))
        _hold([burner.pid for burner in burners], core, os.SCHED_OTHER, os.sched_param(0))
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    _hold(_tasks(target.machine.process.pid), everywhere, *before)


def _hold(tasks: Iterable[int], cores: set[int], policy: int, priority: os.sched_param) -> None:
    """Bind tasks to cores, under a scheduling policy."""
    for task in tasks:
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(task, cores)
            os.sched_setscheduler(task, policy, priority)


def _neighbour() -> None:
    """Prepare a burner's process: it ends with the recorder and has the machine's nice level."""
    die_with_parent(signal.SIGKILL)
    take_priority(NICE)


def _tasks(pid: int) -> list[int]:
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
