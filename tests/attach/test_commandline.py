"""Command lines as plain QEMU, libvirt and Proxmox write them."""

import os
import subprocess
from pathlib import Path

import pytest

from phasewatch.attach import commandline

PROXMOX = """
    /usr/bin/kvm -id 101 -name web,debug-threads=on
    -chardev socket,id=qmp,path=/var/run/qemu-server/101.qmp,server=on,wait=off
    -mon chardev=qmp,mode=control
    -chardev socket,id=qmp-event,path=/var/run/qmeventd.sock,reconnect=5
    -mon chardev=qmp-event,mode=control
    -netdev type=tap,id=net0,ifname=tap101i0,script=/usr/libexec/qemu-server/pve-bridge
"""
LIBVIRT = """
    /usr/bin/qemu-system-x86_64 -name guest=mail,debug-threads=on -S
    -uuid 11111111-2222-3333-4444-555555555555
    -chardev socket,id=charmonitor,fd=22,server=on,wait=off
    -mon chardev=charmonitor,id=monitor,mode=control -netdev tap,fd=25,id=hostnet0,vhost=on
"""
PLAIN = """
    qemu-system-aarch64 -name box -qmp unix:/tmp/a,server=on,wait=off -monitor stdio
    -nic tap,ifname=tap3,script=no -netdev user,id=n1
"""
OLD = """
    qemu-system-x86_64 -chardev socket,id=m,path=/tmp/b,server,nowait -mon m,mode=control
"""


@pytest.mark.parametrize(
    ("line", "name"),
    [(PROXMOX, "web"), (LIBVIRT, "mail"), (PLAIN, "box"), (OLD, "")],
)
def test_names(line: str, name: str) -> None:
    assert commandline.name(line.split()) == name
    assert commandline.is_emulator(line.split())


def test_monitors_are_the_sockets_on_which_qemu_listens() -> None:
    assert commandline.monitors(PLAIN.split()) == [Path("/tmp/a")]
    assert commandline.monitors(LIBVIRT.split()) == []
    assert commandline.monitors(PROXMOX.split()) == [Path("/var/run/qemu-server/101.qmp")]
    assert commandline.monitors(OLD.split()) == [Path("/tmp/b")]


def test_taps_that_are_named() -> None:
    assert commandline.named_taps(PROXMOX.split()) == ["tap101i0"]
    assert commandline.named_taps(PLAIN.split()) == ["tap3"]
    assert commandline.named_taps(LIBVIRT.split()) == []


@pytest.mark.parametrize("program", ["bash", "/usr/bin/python3", "qemu-img", "qemu-nbd"])
def test_other_programs_are_no_emulators(program: str) -> None:
    assert not commandline.is_emulator([program, "-name", "x"])


def test_the_command_line_of_a_process_is_read() -> None:
    with subprocess.Popen(["sleep", "30"]) as process:
        while commandline.words(process.pid)[:1] != ["sleep"]:
            pass
        assert commandline.words(process.pid) == ["sleep", "30"]
        process.kill()


def test_a_process_without_a_tap_has_no_interface() -> None:
    assert commandline.interfaces(os.getpid()) == []


def test_the_kernel_names_the_tap_of_an_open_handle() -> None:
    assert commandline._tap("pos:\t0\nflags:\t0104002\niff:\tvnet7\n") == "vnet7"
    assert commandline._tap("pos:\t0\n") == ""
    assert commandline._by_number(1) == "lo" and commandline._by_number(10**6) == ""
