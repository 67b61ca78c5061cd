"""The lab's virtual hosts: what is emulated, what runs in the background, what lies on the disk.

`hosts.toml` is the register: a block there is a host here. A file with a missing, unknown or
ill-typed field, or with one name twice, is refused.
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from phasewatch.errors import Refused

HOSTS = Path(__file__).parent / "hosts.toml"
# No microvm: Debian's kernel hangs on it in half of the boots, unable to measure its own speed.
MACHINES = {"x86_64": ("pc", "q35"), "aarch64": ("virt",)}
BUSES = ("pci", "mmio")


@dataclass(frozen=True)
class Host:
    """One virtual host; `kernel` is added to the kernel's command line.

    `background` and `programs` are lines for the guest's load generator, such as
    "heartbeat period_s=6"; `never` names the profiles that this host never runs.
    """

    name: str
    arch: str
    machine: str
    cpu: str
    memory_mb: int
    vcpus: int
    bus: str
    kernel: str
    background: str
    files: int
    mean_kb: int
    programs: tuple[str, ...]
    never: tuple[str, ...]


def hosts(path: Path = HOSTS) -> dict[str, Host]:
    """Every host of the register, by name; raises Refused."""
    try:
        blocks = tomllib.loads(path.read_text(encoding="utf-8"))["host"]
        made = [_host(block) for block in blocks]
    except OSError as error:
        raise Refused(path, error.strerror or str(error), "hosts", "Check the path.") from error
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise Refused(path, problem, "[[host]] blocks as in lab/hosts.toml", "Correct it.") from (
            error
        )
    names = [host.name for host in made]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise Refused(path, f"host {double[0]} twice", "one block a host", "Rename one.")
    return {host.name: host for host in made}


def host(name: str, path: Path = HOSTS) -> Host:
    """One host by name; raises Refused with the names there are."""
    known = hosts(path)
    if name not in known:
        remedy = f"Choose one, or add it to {path}."
        raise Refused(f"host {name}", "is unknown", f"one of {', '.join(known)}", remedy)
    return known[name]


def _host(block: dict[str, Any]) -> Host:
    unknown = sorted(set(block) - {field.name for field in fields(Host)})
    if unknown:
        raise ValueError(f"host {block.get('name')}: unknown field {', '.join(unknown)}")
    lists = {name: tuple(block[name]) for name in ("programs", "never")}
    made = Host(**{**block, **lists})
    for field in fields(Host):
        value = getattr(made, field.name)
        if field.type in (int, str) and not isinstance(value, field.type):
            raise TypeError(f"host {made.name}: {field.name} = {value!r} is not {field.type}")
    if made.machine not in MACHINES.get(made.arch, ()):
        raise ValueError(f"host {made.name}: no machine {made.machine} for {made.arch}")
    if made.bus not in BUSES or (made.bus == "mmio" and made.machine != "virt"):
        raise ValueError(f"host {made.name}: no bus {made.bus} on machine {made.machine}")
    if not made.programs:
        raise ValueError(f"host {made.name}: programs is empty")
    return made
