"""Columns that name machines, and those that name parts of one."""

import numpy as np
import pytest

from phasewatch.adapters.suggest.columns import hosts


@pytest.mark.parametrize(
    "name",
    ["host", "hostname", "machine_id", "hostIdentifier", "# hostname", "MachineName", "node",
     "tags.host", "host.name", "agent.hostname", "Computer", "vm_name"],
)  # fmt: skip
def test_names_of_machines(name: str) -> None:
    assert hosts.named(["cpu", name, "value"]) == name
    assert not hosts.likely_only(name)


@pytest.mark.parametrize("name", ["cpu", "uid", "name", "id.orig_h", "Source IP", "user", "label"])
def test_other_names(name: str) -> None:
    assert hosts.named([name]) == ""


def test_the_surest_name_wins() -> None:
    assert hosts.named(["device", "instance", "hostname"]) == "hostname"
    assert hosts.likely_only("device")


def test_disks_and_interfaces_are_parts() -> None:
    assert hosts.names_parts(["sda", "nvme0n1", "eth0", "_Total", "0"])
    assert hosts.names_parts(["cpu0", "cpu-total", "/dev/sda1", "enp0s3", "C:"])
    for machine in ("web1", "srv1", "edge-2", "loki", "brahms", "vm7", "node1"):
        assert not hosts.names_parts([machine, "sda"])


def test_a_unit_may_follow_the_name_of_a_machine() -> None:
    assert all(map(hosts.names_machine, ("web1", "web01 %", "db-2 (ms)")))
    assert not hosts.names_machine("cpu1")


def test_a_column_separates_series_of_even_times() -> None:
    seconds = np.arange(40.0) // 2 * 10
    cells = ["a", "b"] * 20
    assert hosts.separates(cells, seconds)
    # Machines that take turns are regular together, too; a state that lasts is no machine.
    assert hosts.separates(["a", "b"] * 20, np.arange(40.0))
    assert not hosts.separates(["a"] * 20 + ["b"] * 20, np.arange(40.0))
    assert not hosts.separates([f"{n}" for n in range(40)], seconds)


def test_the_last_column_of_recordings_is_the_sample() -> None:
    assert hosts.sample(["run", "x", "meta.session_id"]) == "meta.session_id"
    assert hosts.sample(["x"]) == ""


def test_machines_may_begin_or_end_the_names_of_quantities() -> None:
    assert hosts.crossed(["web1.cpu", "web1.rx", "web2.cpu", "web2.rx"]) == ["web1", "web2"]
    assert hosts.crossed(["cpu db-1", "rx db-1", "cpu db-2", "rx db-2"]) == ["db-1", "db-2"]
    assert hosts.crossed(["Anna_rpm", "Anna_mw", "Berta_rpm", "Berta_mw"]) == ["Anna", "Berta"]
    for names in (
        ["cpu0.user", "cpu0.idle", "cpu1.user", "cpu1.idle"], ["web1.cpu", "web2.rx"],
        ["acc_x", "acc_y", "gyro_x", "gyro_y"], ["read_ops", "read_kb", "write_ops", "write_kb"],
    ):  # fmt: skip
        assert hosts.crossed(names) == []


def test_values_with_one_stretch_of_time_each_are_blocks() -> None:
    seconds = np.arange(40.0)
    assert hosts.blocks(["a"] * 20 + ["b"] * 20, seconds)
    assert not hosts.blocks(["a"] * 10 + ["b"] * 20 + ["a"] * 10, seconds)
    assert not hosts.blocks(["a"] * 38 + ["b"] * 2, seconds)
    assert not hosts.blocks(["a"] * 40, seconds)
