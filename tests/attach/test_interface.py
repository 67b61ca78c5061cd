"""The port of a machine: packets on a veth pair of the tests' own, and the counters alone."""

import math
import os
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from phasewatch.attach import interface, packets
from phasewatch.attach.interface import COUNTED, Counters, Packets
from phasewatch.attach.packets import BIN_NS, CHANNELS
from phasewatch.schema import NS


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def pair() -> Iterator[str]:
    """One end of a veth pair, whose other end is in a namespace; skipped without the right to."""
    name = f"pw{os.getpid() % 100_000}"
    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no network namespace may be made here")
    try:
        ip("link", "add", name, "type", "veth", "peer", "name", "guest0", "netns", name)
        ip("link", "set", name, "up")
        ip("-n", name, "link", "set", "guest0", "up")
        yield name
    finally:
        ip("netns", "delete", name)


def send(interface_name: str, count: int, size: int = 100) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((interface_name, 0))
        for _ in range(count):
            link.send(b"\2" * 12 + b"\x88\xb5" + bytes(size - 14))


def counted(probe: Packets, until: float) -> dict[str, float]:
    rows = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        rows += probe.rows(time.time_ns(), time.monotonic_ns())
        sums = {name: sum(row[2][place] for row in rows) for place, name in enumerate(CHANNELS)}
        if sums["pkts_in"] + sums["pkts_out"] >= until:
            return sums
        time.sleep(0.05)
    raise AssertionError(f"only {sums} in 20 s")


def test_packets_are_counted_with_the_length_that_they_had(pair: str) -> None:
    probe = Packets(pair)
    send(pair, 5, 1000)
    found = counted(probe, 5)
    assert found["pkts_in"] >= 5 and found["bytes_in"] >= 5000
    probe.close()


def test_the_other_end_of_a_namespace_is_watched_from_outside_and_inverted(pair: str) -> None:
    process = subprocess.Popen(["ip", "netns", "exec", pair, "sleep", "60"])
    try:
        before = os.stat("/proc/self/ns/net").st_ino
        while os.stat(f"/proc/{process.pid}/ns/net").st_ino == before:
            time.sleep(0.01)
        probe = Packets("guest0", process.pid, inverted=True)
        assert os.stat("/proc/self/ns/net").st_ino == before
        send(pair, 7)
        assert counted(probe, 7)["pkts_in"] >= 7
        probe.close()
    finally:
        process.kill()
        process.wait()


def test_an_interface_that_is_removed_is_an_error(pair: str) -> None:
    probe = Packets(pair)
    ip("link", "delete", pair)
    with pytest.raises(OSError):
        probe.rows(time.time_ns(), time.monotonic_ns())
    probe.close()


def test_a_clock_that_steps_leaves_no_bins_of_zeros(pair: str) -> None:
    probe = Packets(pair)
    wall, mono = time.time_ns(), time.monotonic_ns()
    assert probe.rows(wall + 3600 * NS, mono) == []
    rows = probe.rows(wall + 3600 * NS + 2 * BIN_NS, mono + 2 * BIN_NS)
    assert 0 < len(rows) <= 2 and rows[0][0] > wall + 3600 * NS
    probe.close()


def test_counters_are_differences_and_the_rest_is_not_measured(pair: str) -> None:
    probe = Counters(pair, "not allowed")
    probe.read()
    send(pair, 3, 200)
    values = dict(zip(CHANNELS, probe.read(), strict=True))
    assert values["pkts_in"] >= 3 and values["bytes_in"] >= 600
    assert {name for name, value in values.items() if math.isfinite(value)} == set(COUNTED)
    assert set(probe.unmeasured) == set(CHANNELS) - set(COUNTED)
    inverted = Counters(pair, "not allowed", inverted=True)
    inverted.read()
    send(pair, 3)
    assert inverted.read()[CHANNELS.index("pkts_out")] >= 3


def test_a_counter_that_starts_over_is_not_measured() -> None:
    assert math.isnan(interface._since({"pkts_in": 9}, {"pkts_in": 3}, "pkts_in"))
    assert math.isnan(interface._since({}, {"pkts_in": 3}, "pkts_in"))
    assert interface._since({"pkts_in": 3}, {"pkts_in": 9}, "pkts_in") == 6.0


def test_without_the_right_to_packets_the_counters_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(name: str) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(packets, "listen", refused)
    probe = interface.probe("lo")
    assert isinstance(probe, Counters)
    assert probe.unmeasured["syn_out"] == "packets need CAP_NET_RAW"


def test_an_interface_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError):
        interface.probe("nosuchport")
