"""The collector of libvirt: statistics as libvirt names them, and a domain of a real libvirtd.

The daemon is a private one with sockets of its own; without Debian's packages libvirt-daemon-system
and libvirt-python, or root, the last test is skipped.
"""

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from phasewatch.attach.collector import Target
from phasewatch.attach.collectors import libvirt
from phasewatch.attach.collectors.libvirt import Collector, added
from phasewatch.attach.probe import Gone
from phasewatch.attach.qmp import UNSTABLE
from phasewatch.errors import Refused

NAME = f"pw{os.getpid() % 100_000}"
DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='ethernet'><target dev='{name}'/><model type='virtio'/></interface>
  </devices>
</domain>
"""


def test_disks_are_added_up_by_the_ends_of_their_names() -> None:
    found = {"block.count": 2, "block.0.rd.bytes": 5, "block.1.rd.bytes": 7, "net.0.rd.bytes": 1}
    assert added(found, "rd.bytes") == 12
    assert added(found, "fl.reqs") is None


def test_the_interface_is_that_of_the_description() -> None:
    one = "<interface><target dev='vnet0'/></interface>"

    def domain(*interfaces: str) -> str:
        return f"<domain><devices>{''.join(interfaces)}</devices></domain>"

    assert libvirt._interface(domain(one)) == "vnet0"
    with pytest.raises(OSError, match="no interface"):
        libvirt._interface(domain())
    with pytest.raises(OSError, match="2 interfaces"):
        libvirt._interface(domain(one, one.replace("0", "1")))


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(Refused, match="libvirt-python is not installed"):
        Collector(Target(kind="libvirt", target="web", network="packets"))


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a private libvirtd."""
    pytest.importorskip("libvirt")
    for program in ("virtlogd", "libvirtd", "qemu-system-x86_64"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if os.getuid():
        pytest.skip("a private libvirtd needs root")
    if Path("/run/libvirt/libvirt-sock").exists():
        pytest.skip("a libvirtd of this machine is running")
    folder = tmp_path_factory.mktemp("libvirt")
    (folder / "conf").write_text(f'unix_sock_dir = "{folder}"\nauth_unix_ro = "none"\n')
    log = (folder / "log").open("wb")
    words = ["virtlogd", "-p", str(folder / "virtlogd.pid")]
    logger = subprocess.Popen(words, stdout=log, stderr=log)
    words = ["libvirtd", "-f", str(folder / "conf"), "-p", str(folder / "libvirtd.pid")]
    daemon = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not (folder / "libvirt-sock").exists() and time.monotonic() < deadline:
            if daemon.poll() is not None:
                pytest.skip("libvirtd does not start here")
            time.sleep(0.05)
        yield f"qemu+unix:///system?socket={folder}/libvirt-sock"
    finally:
        for process in (daemon, logger):
            process.terminate()
            process.wait()
        log.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the user of libvirt's guests may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def values(found: Collector) -> dict[str, float]:
    each: dict[str, float] = {}
    for probe in found.probes[:2]:
        names = (f"{probe.source}.{name}" for name in probe.channels)
        each |= dict(zip(names, probe.read(), strict=True))
    return each


@pytest.mark.machine
def test_a_domain_of_a_real_libvirtd_is_read_until_it_ends(uri: str, open_folder: Path) -> None:
    import libvirt as library  # type: ignore[import-untyped,import-not-found,unused-ignore]

    disk = open_folder / "disk"
    disk.write_bytes(bytes(1 << 20))
    target = Target(kind="libvirt", target=NAME, connect=uri, network="packets")
    connection = library.open(uri)
    domain = connection.createXML(DOMAIN.format(name=NAME, disk=disk))
    try:
        found = Collector(target)
        measured = values(found)
        assert measured["proc.vcpu_run"] > 0 and measured["qmp.blk_wr_bytes"] == 0
        unknown = {name for name, value in measured.items() if math.isnan(value)}
        assert unknown == {f"qmp.{name}" for name in UNSTABLE}
        assert found.probes[2].source == "netflow"
        trusted = set(found.schema().deployed().names)
        assert len(trusted - set(found.unmeasured())) == 29
    finally:
        domain.destroy()
        connection.close()
    for probe in found.probes[:2]:
        with pytest.raises(Gone):
            probe.read()
    found.close()
    with pytest.raises(Gone, match="Domain not found"):
        Collector(target)
