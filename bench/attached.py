"""A guest that plain QEMU boots, or libvirt, watched by `attach` and by the recorder's probes.

`python bench/attached.py --cache FOLDER` boots the lab's guest without the recorder, runs a load in
it, and prints for every channel how far the grid steps of both differ, and what attaching cost.
`--libvirt` has a libvirtd of its own boot it. `--store FOLDER` keeps the episode that `attach`
wrote. It needs root, QEMU and a cache of images; for the other one Debian's libvirt-daemon-system.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from phasewatch import schema
from phasewatch.artifacts import bundle
from phasewatch.artifacts.bundle import Bundle
from phasewatch.attach.commandline import machines
from phasewatch.attach.commandline import name as guest_name
from phasewatch.attach.process import ProcessAccounts
from phasewatch.attach.qmp import Hypervisor, Qmp
from phasewatch.cli.console import images
from phasewatch.episode import Floats, Samples
from phasewatch.lab.image import image, scratch
from phasewatch.lab.network import GUEST, MAC, Tap
from phasewatch.lab.probes import HZ, Rows, netflow
from phasewatch.live.buffer import first_end
from phasewatch.schema import NS
from phasewatch.windowing import opening_level, past_at, resample, window_at

NAME = "plain"
ENTRY = "from phasewatch.cli.entry import main; main()"
ACTS = (
    "crawl rate=3 hosts=9",
    "scan rate=60 port_to=1024",
    "walk rate=250",
    "beacon period_s=2 task_n=4",
    "compile rate=2 burn_ms=120",
)
"""Programs of the guest's load generator, run one after the other."""


def command(folder: Path, kernel: Path, initrd: Path, disk: Path) -> list[str]:
    """Return the command line of a guest as a person would start it, with two QMP sockets."""
    words = f"""
        qemu-system-x86_64 -name {NAME},debug-threads=on -accel tcg -m 128 -smp 1
        -nodefaults -no-user-config -display none -no-reboot -serial file:{folder}/console
        -qmp unix:{folder}/recorder,server=on,wait=off -qmp unix:{folder}/qmp,server=on,wait=off
        -device virtio-serial-pci
        -chardev socket,id=agent,path={folder}/agent,server=on,wait=off
        -device virtserialport,chardev=agent,name=lab.agent
        -chardev socket,id=control,path={folder}/control,server=on,wait=off
        -device virtserialport,chardev=control,name=lab.ctl
        -netdev tap,id=n0,ifname=tap0,script=no,downscript=no,vnet_hdr=off
        -device virtio-net-pci,netdev=n0,mac={MAC},romfile=
        -drive file={disk},if=none,id=d0,format=raw,snapshot=on -device virtio-blk-pci,drive=d0
        -kernel {kernel} -initrd {initrd}
    """.split()
    return [*words, "-append", f"console=ttyS0 loglevel=4 panic=-1 ip4={GUEST}/24 agent_hz=0.1"]


class Control:
    """The control port of the guest's load generator."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._socket.settimeout(60)
        self._lines = self._socket.makefile("r")

    def ask(self, line: str) -> str:
        """Send a request and return the reply."""
        self._socket.sendall(f"{line}\n".encode())
        return self._lines.readline().strip()


DOMAIN = """
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>128</memory>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{folder}/kernel</kernel><initrd>{folder}/initrd</initrd><cmdline>{line}</cmdline>
  </os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{folder}/disk'/><target dev='vda' bus='virtio'/>
    </disk>
    <channel type='unix'>
      <source mode='bind' path='{folder}/agent'/><target type='virtio' name='lab.agent'/>
    </channel>
    <channel type='unix'>
      <source mode='bind' path='{folder}/control'/><target type='virtio' name='lab.ctl'/>
    </channel>
    <interface type='ethernet'>
      <mac address='{mac}'/><target dev='tap0' managed='no'/><model type='virtio'/>
    </interface>
    <serial type='file'><source path='{folder}/console'/></serial>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-qmp'/><qemu:arg value='unix:{folder}/recorder,server=on,wait=off'/>
  </qemu:commandline>
</domain>
"""
"""The same guest as a domain of libvirt. The recorder has a monitor of its own."""


@dataclass(frozen=True)
class Booted:
    """A booted guest: its process id, the folder of its sockets, its link, and how it is watched.

    `target` is the block of the configuration file without the machine's name.
    """

    pid: int
    folder: Path
    net: Tap
    target: str


@contextmanager
def plain(cache: Path) -> Iterator[Booted]:
    """Yield a guest that QEMU boots."""
    net = Tap(watching=True)
    built, disk = image("x86_64", cache, print), scratch(cache)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = subprocess.Popen(command(folder, built.kernel, built.initrd, disk))
        try:
            wait(folder / "control")
            target = f'kind = "qemu"\ntarget = "{NAME}"\nqmp = "{folder / "qmp"}"\n'
            yield Booted(process.pid, folder, net, target)
        finally:
            process.kill()
            process.wait()
            net.kill()


@contextmanager
def domain(cache: Path) -> Iterator[Booted]:
    """Yield a guest that a libvirtd boots, which is begun and ended with it."""
    net = Tap(watching=True)
    built, disk = image("x86_64", cache, print), scratch(cache)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Guests of libvirt have a user of their own, who makes the sockets here.
        folder.chmod(0o777)
        for path, copy in ((built.kernel, "kernel"), (built.initrd, "initrd"), (disk, "disk")):
            shutil.copyfile(path, folder / copy)
        line = f"console=ttyS0 loglevel=4 panic=-1 ip4={GUEST}/24 agent_hz=0.1"
        text = DOMAIN.format(name=NAME, folder=folder, line=line, mac=MAC)
        (folder / "domain.xml").write_text(text)
        with daemons(folder) as uri:
            virsh = ["virsh", "-q", "-c", uri]
            subprocess.run([*virsh, "create", str(folder / "domain.xml")], check=True)
            try:
                wait(folder / "control")
                pid = next(pid for pid, words in machines() if guest_name(words) == NAME)
                target = f'kind = "libvirt"\ntarget = "{NAME}"\nconnect = "{uri}"\n'
                yield Booted(pid, folder, net, target)
            finally:
                subprocess.run([*virsh, "destroy", NAME], check=True)
                net.kill()


@contextmanager
def daemons(folder: Path) -> Iterator[str]:
    """Yield the URI of a libvirtd with sockets of its own."""
    (folder / "conf").write_text(f'unix_sock_dir = "{folder}"\nauth_unix_ro = "none"\n')
    words = (
        ["virtlogd", "-p", f"{folder}/virtlogd.pid"],
        ["libvirtd", "-f", f"{folder}/conf", "-p", f"{folder}/libvirtd.pid"],
    )
    log = (folder / "log").open("wb")
    running = [subprocess.Popen(one, stdout=log, stderr=log) for one in words]
    try:
        wait(folder / "libvirt-sock")
        yield f"qemu+unix:///system?socket={folder}/libvirt-sock"
    finally:
        for process in running:
            process.terminate()
            process.wait()
        log.close()


def wait(path: Path) -> None:
    """Wait until a socket is there, for a minute at most."""
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.1)


def recorded(pid: int, path: Path, seconds: float, control: Control) -> dict[str, Rows]:
    """Return the rows of the recorder's probes at 2 Hz while the acts run one after the other."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.connect(str(path))
    client = Qmp(channel)
    client.greet()
    probes = (ProcessAccounts(pid), Hypervisor(lambda: nullcontext(client)))
    rows = {probe.source: Rows(probe.source, probe.channels) for probe in probes}
    start = tick = time.monotonic_ns()
    acts = list(ACTS)
    each = seconds / len(acts)
    while (now := time.monotonic_ns()) - start < seconds * NS:
        if acts and now - start >= (len(ACTS) - len(acts)) * each * NS:
            control.ask(f"start work {acts.pop(0)}")
        for probe in probes:
            rows[probe.source].take(probe.read)
        tick += round(NS / HZ)
        time.sleep(max(0, tick - time.monotonic_ns()) / NS)
    return rows


def attached(lines: Path) -> dict[str, Samples]:
    """Return the samples that `phasewatch attach` has written as JSON Lines."""
    rows: dict[str, Rows] = {}
    layout = schema.vm46()
    for text in lines.read_text().splitlines():
        value = json.loads(text)
        source = value["source"]
        if value.get("machine", NAME) != NAME:
            continue
        names = [channel.name for channel in layout.channels_of(source)]
        kept = rows.setdefault(source, Rows(source, [name.partition(".")[2] for name in names]))
        values = [float(value["values"].get(name, np.nan)) for name in names]
        kept.add(value["t_wall_ns"], value["t_mono_ns"], values)
    return {source: kept.samples(0, 2**62) for source, kept in rows.items()}


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def within(ours: Samples, theirs: Samples, name: str) -> float:
    """Return the share of the recorder's totals that lie between those of attach around them.

    A total only grows, so at the time of a reading it lies between those before and after it,
    whatever happened between them: no tolerance is needed but for the time that a reading takes.
    """
    left, right = (one.values[:, one.names.index(name)] for one in (ours, theirs))
    after = np.searchsorted(ours.t_wall_ns, theirs.t_wall_ns)
    inside = (after > 0) & (after < len(left))
    low, high = left[after[inside] - 1], left[after[inside]]
    return float(np.mean((low <= right[inside]) & (right[inside] <= high)))


def compare(ours: dict[str, Samples], theirs: dict[str, Samples], seconds: float) -> Table:
    """Return a table of both, channel by channel: steps, means, and totals or rows that agree."""
    layout = schema.vm46().deployed()
    origin = max(int(one.t_wall_ns[0]) for one in (*ours.values(), *theirs.values())) + NS
    steps = int(seconds) * 2 - 8
    left, right = (resample(each, layout, origin, 0, steps) for each in (ours, theirs))
    table = Table(title=f"the same {steps} steps of 0.5 s, measured by the recorder and by attach")
    for column in ("channel", "steps of both", "recorder, mean", "attach, mean", "agreement"):
        table.add_column(column)
    for row, channel in enumerate(layout.channels):
        both = np.isfinite(left[row]) & np.isfinite(right[row])
        if not both.any():
            table.add_row(channel.name, "0", "", "not measured", "")
            continue
        a, b = right[row][both], left[row][both]
        if channel.kind == "counter":
            pair = ours[channel.source], theirs[channel.source]
            agreement = f"{within(*pair, channel.name):.1%} of totals in between"
        else:
            agreement = f"{np.mean(a == b):.1%} of steps equal"
        table.add_row(
            channel.name, str(both.sum()), f"{a.mean():.4g}", f"{b.mean():.4g}", agreement
        )
    return table


def predicted(ours: dict[str, Samples], theirs: dict[str, Samples], loaded: Bundle) -> Table:
    """Return a table of what a bundle predicts from both, for the same windows and opening."""
    layout, grid = loaded.schema, loaded.schema.grid
    origin = max(int(one.t_wall_ns[0]) for one in (*ours.values(), *theirs.values())) + NS
    last = min(int(one.t_wall_ns[-1]) for one in (*ours.values(), *theirs.values()))
    ends = range(first_end(grid, loaded.opening_s), (last - origin) // grid.step_ns, grid.stride)
    chances = [
        np.array([chance(loaded, one, origin, end) for end in ends]) for one in (theirs, ours)
    ]
    table = Table(title=f"{loaded.name} on the samples of both")
    for column in ("window ends after", "from the recorder", "from attach", "largest difference"):
        table.add_column(column)
    for end, first, second in zip(ends, *chances, strict=True):
        names = (layout.classes[int(one.argmax())] for one in (first, second))
        table.add_row(f"{end * grid.step_s:g} s", *names, f"{np.abs(first - second).max():.3f}")
    return table


def chance(loaded: Bundle, samples: dict[str, Samples], origin: int, end: int) -> Floats:
    """Return the probability of each phase for the window that ends with step `end - 1`."""
    level = opening_level(samples, loaded.schema, origin, loaded.opening_s)
    x = window_at(samples, loaded.schema, origin, end)
    past = past_at(samples, loaded.schema, origin, end)
    logits = loaded.logits(x[None], level[None], past[None])[0]
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


def configured(place: Path, target: str, chosen: argparse.Namespace) -> Path:
    """Return a configuration file that watches the guest as often as there are to be machines."""
    block = f"[[machine]]\n{target}"
    if not chosen.libvirt:
        block += f"unstable = {str(not chosen.stable).lower()}\n"
    names = (f'name = "{NAME}{number or ""}"\n' for number in range(chosen.machines))
    path = place / "attach.toml"
    path.write_text("".join(block + name for name in names))
    return path


def main() -> None:
    """Boot, attach, run the acts, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=images(None))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--bundle", type=Path, help="a bundle of vm46 in realistic mode")
    parser.add_argument("--machines", type=int, default=1, help="watch the guest so many times")
    parser.add_argument("--libvirt", action="store_true", help="have a libvirtd boot the guest")
    parser.add_argument("--stable", action="store_true", help="ask no unstable command of QEMU")
    chosen = parser.parse_args()
    host = os.open("/proc/self/ns/net", os.O_RDONLY)
    boot = domain if chosen.libvirt else plain
    with boot(chosen.cache) as booted, tempfile.TemporaryDirectory() as place:
        control = Control(booted.folder / "control")
        for line in ("ping boot", "seed 1", "populate files=300 mean_kb=30 seed=1"):
            control.ask(line)
        lines = Path(place) / "lines"
        # From the namespace of the host, as a person's shell is, not from the guest's.
        words = ["nsenter", f"--net=/proc/self/fd/{host}", sys.executable, "-c", ENTRY]
        words += ["attach", "--config", str(configured(Path(place), booted.target, chosen))]
        words += ["--seconds", str(chosen.seconds + 4)]
        words += ["--out", str(chosen.store)] if chosen.store else []
        with lines.open("wb") as file:
            watching = subprocess.Popen(words, stdout=file, pass_fds=[host])
            time.sleep(3)
            before = cpu_seconds(watching.pid)
            recorder = booted.folder / "recorder"
            rows = recorded(booted.pid, recorder, chosen.seconds, control)
            spent = cpu_seconds(watching.pid) - before
            watching.wait()
        traffic = booted.net.finish()
        theirs = {source: kept.samples(0, 2**62) for source, kept in rows.items()}
        theirs["netflow"] = netflow(traffic).samples(0, 2**62)
        console = Console(width=120)
        console.print(compare(attached(lines), theirs, chosen.seconds))
        if chosen.bundle:
            console.print(predicted(attached(lines), theirs, bundle.load(chosen.bundle)))
        count = chosen.machines
        console.print(f"attach used {spent / chosen.seconds:.2%} of a core for {count} machine(s)")


if __name__ == "__main__":
    main()
