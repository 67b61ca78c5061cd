"""The lab's virtual hosts: what is emulated, what runs in the background, what is on the disk.

`hosts.toml` is the register and has one block for each host. A file with a missing, unknown or
ill-typed field, or with one name twice, is refused.
"""

import collections
from pathlib import Path

from pydantic import model_validator

from phasewatch.errors import Refused
from phasewatch.io import fields

HOSTS = Path(__file__).parent / "hosts.toml"
# No microvm: Debian's kernel hung there in 3 of 12 boots, and its clock steps by up to 0.4 s.
MACHINES = {"x86_64": ("pc", "q35"), "aarch64": ("virt",), "arm": ("virt",)}
BUSES = {"pc": ("pci",), "q35": ("pci",), "virt": ("pci", "mmio")}


class Host(fields.Table):
    """One virtual host; `kernel` is added to the kernel's command line.

    `background` and `programs` are lines for the guest's load generator, such as
    "heartbeat period_s=6"; `never` names the profiles that this host never runs. Its disk has
    `files` files of `mean_kb` KiB on average.
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
    programs: fields.Tuple[str]
    never: fields.Tuple[str]

    @model_validator(mode="after")
    def _possible(self) -> "Host":
        if self.machine not in MACHINES.get(self.arch, ()):
            raise ValueError(f"host {self.name}: no machine {self.machine} for {self.arch}")
        if self.bus not in BUSES[self.machine]:
            raise ValueError(f"host {self.name}: no bus {self.bus} on machine {self.machine}")
        if not self.programs:
            raise ValueError(f"host {self.name}: programs is empty")
        return self

    @property
    def kind(self) -> tuple[str, str, str]:
        """The architecture, machine and bus, which hosts of one kind share."""
        return self.arch, self.machine, self.bus


class Register(fields.Table):
    """The contents of the register of hosts."""

    host: fields.Tuple[Host]

    @model_validator(mode="after")
    def _distinct(self) -> "Register":
        count = collections.Counter(host.name for host in self.host)
        for name, times in count.items():
            if times > 1:
                raise ValueError(f"host {name} twice")
        return self


def hosts(path: Path = HOSTS) -> dict[str, Host]:
    """Return every host of a register, by name. Raises Refused for a wrong field."""
    register = fields.read(path, Register, "[[host]] blocks as in lab/hosts.toml")
    return {host.name: host for host in register.host}


def host(name: str, path: Path = HOSTS) -> Host:
    """Return a host by its name. Raises Refused, which lists the known names."""
    known = hosts(path)
    if name not in known:
        remedy = f"Choose one, or add it to {path}."
        raise Refused(f"host {name}", "is unknown", f"one of {', '.join(known)}", remedy)
    return known[name]
