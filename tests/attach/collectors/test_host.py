"""The collector of this machine, against the kernel's own files."""

import math
import os
from pathlib import Path

import pytest

from phasewatch.attach.collector import Target
from phasewatch.attach.collectors import host
from phasewatch.attach.collectors.host import Collector
from phasewatch.errors import Refused

THIS = Target(kind="host", network="packets")


def test_every_channel_of_the_schema_has_a_probe_and_no_other() -> None:
    found = Collector(THIS)
    channels = {f"{probe.source}.{name}" for probe in found.probes for name in probe.channels}
    assert channels == set(found.schema().names)
    assert found.name == os.uname().nodename


def test_this_machine_is_measured() -> None:
    found = Collector(THIS)
    values: dict[str, float] = {}
    for probe in found.probes:
        names = (f"{probe.source}.{name}" for name in probe.channels)
        values |= dict(zip(names, probe.read(), strict=True))
    measured = {name for name, value in values.items() if math.isfinite(value)}
    assert measured == set(found.schema().names) - set(found.unmeasured())
    assert values["mem.free"] * 1024 <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert values["cpu.user"] > 0 and values["cpu.running"] >= 1


def test_partitions_are_not_counted_beside_their_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["vda", "vda1", "sdb", "sdb12", "nvme0n1", "nvme0n1p2", "mmcblk0", "mmcblk0p1"]
    names += ["loop0", "dm-0", "zram0", "md127", "sr0"]
    rows = [f" 1 {place} {name} {' '.join(['5'] * 14)}" for place, name in enumerate(names)]
    (tmp_path / "diskstats").write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(host, "PROC", str(tmp_path))
    assert host.Disks().read() == [20.0] * 5


def test_a_target_is_refused() -> None:
    with pytest.raises(Refused, match="host pi: takes no target"):
        Collector(Target(kind="host", target="pi", network="packets"))
