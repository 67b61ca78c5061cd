"""Control groups: a folder that a test writes, and a real group where one may be made."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from phasewatch.attach.collector import Target
from phasewatch.attach.collectors import cgroup
from phasewatch.attach.collectors.cgroup import Collector
from phasewatch.attach.probe import Gone
from phasewatch.errors import Refused

FILES = {
    "cgroup.procs": "",
    "cgroup.controllers": "cpu io memory pids\n",
    "cpu.stat": "usage_usec 90\nuser_usec 60\nsystem_usec 30\nthrottled_usec 4\n",
    "pids.current": "3\n",
    "memory.current": "4096\n",
    "memory.stat": "anon 1\nfile 2\nfile_dirty 3\npgfault 4\npgmajfault 5\n",
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=5 wbytes=0\n",
    "cpu.pressure": "some avg10=0 total=7\nfull avg10=0 total=0\n",
    "io.pressure": "some avg10=0 total=8\nfull avg10=0 total=9\n",
    "memory.pressure": "some avg10=0 total=1\nfull avg10=0 total=0\n",
}


def target(name: str) -> Target:
    return Target(kind="cgroup", target=name, network="packets")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hierarchy of the test's own, with one group of a unit."""
    monkeypatch.setattr(cgroup, "ROOTS", (tmp_path / "absent", tmp_path))
    for folder in (tmp_path, tmp_path / "system.slice" / "nginx.service"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in FILES.items():
            (folder / name).write_text(text)
    return tmp_path


def values(found: Collector) -> dict[str, float]:
    each: dict[str, float] = {}
    for probe in found.probes:
        names = (f"{probe.source}.{name}" for name in probe.channels)
        each |= dict(zip(names, probe.read(), strict=True))
    return each


@pytest.mark.parametrize("name", ["nginx", "nginx.service", "system.slice/nginx.service"])
def test_a_unit_is_found_by_its_name_or_path(root: Path, name: str) -> None:
    found = Collector(target(name))
    assert found.name == "nginx.service"
    measured = values(found)
    assert measured["cpu.usage"] == 90.0 and measured["cpu.throttled"] == 4.0
    assert measured["io.rbytes"] == 15.0 and measured["io.wios"] == 2.0
    assert measured["mem.file_dirty"] == 3.0 and measured["pressure.io_full"] == 9.0
    assert set(measured) | set(found.absent) == set(found.schema().names)
    assert found.absent["net.rx_pkts"] == f"the group {found.probes[0].folder} has no process"  # type: ignore[attr-defined]


def test_a_group_without_controllers_names_what_is_not_measured(root: Path) -> None:
    folder = root / "system.slice" / "nginx.service"
    for name in ("memory.current", "memory.stat", "io.stat", "pids.current"):
        (folder / name).unlink()
    (folder / "cpu.stat").write_text("usage_usec 90\nuser_usec 60\nsystem_usec 30\n")
    found = Collector(target("nginx"))
    unknown = {name for name, value in values(found).items() if math.isnan(value)}
    assert unknown == {
        name
        for name in found.schema().names
        if name.startswith(("mem.", "io.")) or name in ("cpu.throttled", "cpu.tasks")
    }
    assert unknown <= set(found.unmeasured())
    assert "controller" in found.unmeasured()["io.rios"]


def test_a_group_that_is_removed_is_gone(root: Path) -> None:
    found = Collector(target("nginx"))
    folder = root / "system.slice" / "nginx.service"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    for probe in found.probes[:3]:
        with pytest.raises(Gone):
            probe.read()
    with pytest.raises(Gone):
        Collector(target("nginx"))


def test_a_container_is_found_by_the_beginning_of_its_id(root: Path) -> None:
    id = "0123456789abcdef" * 4
    folder = root / f"docker-{id}.scope"
    folder.mkdir()
    (folder / "cgroup.controllers").write_text("")
    assert Collector(target(id[:12])).name == folder.name
    with pytest.raises(Gone):
        Collector(target(id[:8]))


def test_a_name_that_fits_several_is_refused(root: Path) -> None:
    other = root / "user.slice" / "nginx.service"
    other.mkdir(parents=True)
    (other / "cgroup.controllers").write_text("")
    with pytest.raises(Refused, match="fits 2 groups"):
        Collector(target("nginx"))


def test_a_group_with_this_network_does_not_measure_it(root: Path) -> None:
    (root / "system.slice" / "nginx.service" / "cgroup.procs").write_text(f"{os.getpid()}\n")
    found = Collector(target("nginx"))
    assert found.absent["net.tx_bytes"] == "the group shares the network of the host"


@pytest.fixture
def group() -> Iterator[Path]:
    """A real group of version 2 with this process in it; skipped where none may be made."""
    roots = [root for root in cgroup.ROOTS if (root / "cgroup.controllers").exists()]
    if not roots:
        pytest.skip("no hierarchy of control groups of version 2")
    folder = roots[0] / f"phasewatch-test-{os.getpid()}"
    own = Path("/proc/self/cgroup").read_text().splitlines()
    before = next((line[3:] for line in own if line.startswith("0::")), "/")
    try:
        folder.mkdir()
        (folder / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip("no control group may be made here")
    try:
        yield folder
    finally:
        (roots[0] / before.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))
        folder.rmdir()


def test_a_real_group_has_the_time_of_its_process(group: Path) -> None:
    found = Collector(target(group.name))
    before = values(found)["cpu.usage"]
    sum(range(3_000_000))
    assert values(found)["cpu.usage"] > before


def test_a_group_of_version_1_is_none(root: Path) -> None:
    folder = root / "cpu" / "old.service"
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").write_text("")
    for name in (str(folder), "cpu/old.service"):
        with pytest.raises(Gone, match="no control group of version 2 is named"):
            Collector(target(name))
