"""`phasewatch doctor`: what is installed, what is missing for which command, and how to get it."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from phasewatch import __version__
from phasewatch.cli.console import REFUSED, AsJson, app, out, print_json
from phasewatch.cli.extras import EXTRAS, install_line, missing

NEEDS: Mapping[str, tuple[str, ...]] = {
    "validate": ("data", "train"),
    "run": ("data", "train", "report"),
    "train": ("data", "train"),
    "evaluate": ("data", "train", "report"),
    "score": ("data", "train"),
    "few-labels": ("data", "train"),
    "survey": ("data", "train"),
    "predict": ("data", "train"),
    "inspect": (),
    "export": ("data", "train", "export"),
    "sign": ("train", "live"),
    "watch": ("live",),
    "attach": (),
    "show": ("data", "train", "serve"),
    "narrow": ("data",),
    "dropout": ("data", "train", "live"),
    "serve": ("data", "train", "serve"),
    "live": ("data", "train", "serve"),
    "alerts": ("data", "train", "serve"),
    "events": ("data", "train", "serve"),
    "import": ("data",),
    "schema": ("data",),
    "windows": ("data",),
    "record": ("data",),
    "lab": (),
    "receive": ("data", "serve"),
    "ship": ("data",),
    "simulate": ("data", "train"),
    "compare": ("data", "train", "report"),
    "doctor": (),
}
"""The extras that each command needs."""

MAIN = "validate", "run"
"""The commands without which nothing else is of use: doctor fails when these cannot run."""

NODE = (20, 19)
"""The oldest Node that builds the page."""

SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Program:
    """A program that some commands start, and the Debian packages that install it."""

    command: str
    packages: str
    needed_by: str


PROGRAMS = (
    Program("qemu-system-x86_64", "qemu-system-x86 seabios ipxe-qemu", "record, live"),
    Program("qemu-system-aarch64", "qemu-system-arm qemu-efi-aarch64", "record, live"),
    Program("x86_64-linux-gnu-gcc", "gcc libc6-dev", "record, live (the guest image)"),
    Program(
        "aarch64-linux-gnu-gcc",
        "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        "record, live (aarch64 guests)",
    ),
    Program("depmod", "kmod", "record, live (the guest image)"),
    Program("mke2fs", "e2fsprogs", "record, live (the guest's disk)"),
    Program("ip", "iproute2", "record, live (the isolated network)"),
)


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis: `found`, with a detail, or the remedy that installs it."""

    name: str
    found: bool
    detail: str
    needed_by: str
    remedy: str


BESIDE = {
    "cluster": "--cluster",
    "fast": "speed alone (optional)",
    "metrics": "attach --metrics",
    "mqtt": "attach --alert mqtt://…",
}
"""What an extra is for that no command needs."""


@app.command()
def doctor(
    as_json: AsJson = False,
    every: Annotated[
        bool, typer.Option("--all", help="List what is found as well as what is missing.")
    ] = False,
) -> None:
    """Report what is installed here, what is missing for which command, and how to install it.

    Exit code 0 means that `validate` and `run` have all that they need; 2 means they do not.
    """
    checks = [*_libraries(), *_programs(), *_collectors(), _node(), *_machine()]
    blocked = _blocked()
    if as_json:
        print_json(
            {
                "version": __version__,
                "python": platform.python_version(),
                "cores": cores(),
                "memory_bytes": memory_bytes(),
                "blocked_commands": blocked,
                "checks": [asdict(check) for check in checks],
            }
        )
    else:
        _show(checks, blocked, every)
    if any(name in blocked for name in MAIN):
        raise typer.Exit(REFUSED)


def _libraries() -> Iterator[Check]:
    """Yield one check for each extra."""
    for extra in EXTRAS:
        absent = missing(extra)
        commands = ", ".join(name for name, extras in NEEDS.items() if extra in extras)
        yield Check(
            f"phasewatch[{extra}]",
            not absent,
            f"missing: {', '.join(absent)}" if absent else "installed",
            commands or BESIDE[extra],
            install_line(extra) if absent else "",
        )


def _programs() -> Iterator[Check]:
    """Yield one check for each program that the recorder starts."""
    for program in PROGRAMS:
        path = shutil.which(program.command, path=SBIN)
        yield Check(
            program.command,
            path is not None,
            path or "not found",
            program.needed_by,
            "" if path else f"apt-get install {program.packages}",
        )


def _collectors() -> Iterator[Check]:
    """Yield one check for each collector of `attach`: what is lacking, and what it needs."""
    from phasewatch.attach.collector import kinds, of_kind

    for kind in kinds():
        collector = of_kind(kind)
        lacks = collector.lacks()
        yield Check(
            f"attach {kind}",
            not lacks,
            f"lacks {'; '.join(lacks)}" if lacks else "all channels that it can have",
            f"attach {kind}, show {kind}",
            f"It needs {collector.needs}." if lacks else "",
        )


def _node() -> Check:
    """Check for the Node that builds the page; its built files are part of the package."""
    path = shutil.which("node")
    version = _first_line(path, "--version") if path else ""
    numbers = tuple(int(part) for part in version.strip("v").split(".")[:2] if part.isdigit())
    wanted = ".".join(map(str, NODE))
    return Check(
        "node",
        numbers >= NODE,
        version or "not found",
        "make dashboard (developers only)",
        "" if numbers >= NODE else f"Install Node {wanted} or newer from https://nodejs.org.",
    )


def _first_line(*words: str) -> str:
    """Return the first line that a program prints, or nothing if it cannot be run."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition("\n")[0].strip()


def _machine() -> Iterator[Check]:
    """Yield checks of KVM and cgroups, which no command needs but which explain measurements."""
    kvm = os.access("/dev/kvm", os.R_OK | os.W_OK)
    yield Check(
        "kvm",
        kvm,
        "/dev/kvm is usable" if kvm else "/dev/kvm is absent or not permitted",
        "no command: the lab emulates guests in software",
        "",
    )
    two = (CGROUP / "cgroup.controllers").exists()
    limits = ", ".join(f"{name} {_limit(name)}" for name in ("cpu.max", "memory.max"))
    yield Check(
        "cgroup",
        two,
        f"version 2: {limits}" if two else "version 2 is not mounted",
        "attach cgroup; its limits are counted in cores and memory",
        "",
    )


def _limit(name: str) -> str:
    """Return the text of a cgroup limit; the root group has none and counts as unlimited."""
    try:
        return (CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return "max"


def cores() -> int:
    """Return how many cores this process may use, by affinity and by its cgroup."""
    allowed = len(os.sched_getaffinity(0))
    quota, _, period = _limit("cpu.max").partition(" ")
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period or 100_000)))


def memory_bytes() -> int:
    """Return how much memory this process may use: the machine's, or its cgroup's if less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _limit("memory.max")
    return physical if limit == "max" else min(physical, int(limit))


def _blocked() -> dict[str, list[str]]:
    """Return the commands that cannot run here, with the extras that each of them lacks."""
    absent = {extra for extra in EXTRAS if missing(extra)}
    lacking = {name: [extra for extra in needs if extra in absent] for name, needs in NEEDS.items()}
    return {name: extras for name, extras in lacking.items() if extras}


def _show(checks: list[Check], blocked: dict[str, list[str]], every: bool) -> None:
    """Print what is missing, or everything, and a summary line."""
    out.print(
        f"phasewatch {__version__}, Python {platform.python_version()}, {cores()} cores, "
        f"{memory_bytes() / 2**30:.1f} GiB"
    )
    shown = [check for check in checks if every or not check.found]
    table = Table()
    for column in ("what", "state", "needed by", "how to get it"):
        table.add_column(column, overflow="fold")
    for check in shown:
        table.add_row(*(check.name, check.detail, check.needed_by, check.remedy))
    if shown:
        out.print(table)
    for name, extras in blocked.items():
        out.print(f"{name}: {install_line(*extras)}", soft_wrap=True)
    if not blocked:
        out.print("Every command has the libraries that it needs.")
