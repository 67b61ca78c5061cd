"""The collector of QEMU against a real QEMU without a guest."""

import math
import os
from pathlib import Path

import pytest
from tests.attach.emulators import emulator

from phasewatch.attach import qmp
from phasewatch.attach.collector import Target
from phasewatch.attach.collectors.qemu import Collector, find
from phasewatch.attach.probe import Gone
from phasewatch.attach.qmp import UNSTABLE
from phasewatch.errors import Refused

pytestmark = pytest.mark.machine

NAME = f"box-{os.getpid()}"


def target(text: str, **more: object) -> Target:
    return Target.model_validate({"kind": "qemu", "target": text, "network": "off", **more})


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests may be busy."""
    monkeypatch.setattr(qmp, "PATIENCE_S", 30.0)


def test_a_process_is_found_three_ways_and_read(tmp_path: Path) -> None:
    with emulator(tmp_path, NAME) as process:
        for text in (str(process.pid), NAME, str(tmp_path / "qmp")):
            found = Collector(target(text))
            assert (found.pid, found.name) == (process.pid, NAME)
        values: dict[str, float] = {}
        for probe in found.probes:
            names = (f"{probe.source}.{name}" for name in probe.channels)
            values |= dict(zip(names, probe.read(), strict=True))
        assert values["proc.vcpu_run"] > 0 and values["proc.threads"] >= 2
        assert values["qmp.blk_wr_bytes"] == 0
        unknown = {name for name, value in values.items() if math.isnan(value)}
        assert unknown == {f"qmp.{name}" for name in UNSTABLE}
        missing = found.unmeasured()
        assert set(found.schema().names) - set(missing) == set(values) - unknown
        assert missing["netflow.syn_out"] == "switched off"
        assert found.followed is not None


def test_vcpus_are_known_by_the_monitor_without_names_of_threads(tmp_path: Path) -> None:
    with emulator(tmp_path, f"{NAME},debug-threads=off") as process:
        found = Collector(target(str(process.pid)))
        assert found.probes[0].read()[0] > 0
        without = Collector(target(str(process.pid), qmp=str(tmp_path / "none")))
        assert math.isnan(without.probes[0].read()[0])
        assert "none" in without.unmeasured()["qmp.blk_rd_ops"]


def test_unstable_commands_give_the_translators_flushes(tmp_path: Path) -> None:
    more = ("-device", "virtio-net-pci,netdev=n0", "-netdev", "user,id=n0,restrict=on")
    with emulator(tmp_path, NAME, *more) as process:
        found = Collector(target(str(process.pid), unstable=True))
        values = dict(zip(found.probes[1].channels, found.probes[1].read(), strict=True))
        assert all(map(math.isfinite, values.values())) and values["jit_tlb_flushes"] > 0


def test_a_guest_without_a_tap_has_no_network_and_is_told_so(tmp_path: Path) -> None:
    with emulator(tmp_path, NAME) as process:
        found = Collector(target(str(process.pid), network="packets"))
        assert found.absent["netflow.syn_out"].startswith("the guest has no tap interface")
        named = Collector(target(str(process.pid), network="counters", interface="lo"))
        assert named.probes[-1].source == "netflow"


def test_a_process_that_ends_is_gone(tmp_path: Path) -> None:
    with emulator(tmp_path, NAME) as process:
        found = Collector(target(str(process.pid)))
    with pytest.raises(Gone):
        found.probes[0].read()
    for text in (NAME, str(process.pid), str(tmp_path / "qmp")):
        with pytest.raises(Gone):
            find(text)


def test_a_restarted_guest_is_found_by_its_name_when_it_was_given_by_id(tmp_path: Path) -> None:
    with emulator(tmp_path, NAME) as process:
        followed = Collector(target(str(process.pid))).followed
    assert followed is not None and followed.target == NAME
    with emulator(tmp_path, NAME) as again:
        assert Collector(followed).pid == again.pid


def test_what_is_no_qemu_is_refused() -> None:
    with pytest.raises(Refused, match="expected a QEMU process"):
        find(str(os.getpid()))
    with pytest.raises(Gone, match="no QEMU process is named nosuchbox"):
        find("nosuchbox")
