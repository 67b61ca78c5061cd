import socket
from pathlib import Path

import pytest

from phasewatch.attach.network import INTERFACES, Namespace


def test_connections_of_this_namespace_are_counted_and_loopback_is_not() -> None:
    probe = Namespace(lambda: "/proc/self/net")
    before = dict(zip(probe.channels, probe.read(), strict=True))
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(3):
            with socket.create_connection(server.getsockname()) as client:
                client.sendall(b"x" * 1_000_000)
    after = dict(zip(probe.channels, probe.read(), strict=True))
    assert after["tcp_active"] - before["tcp_active"] >= 3
    assert after["tx_bytes"] - before["tx_bytes"] < 3_000_000
    assert set(INTERFACES) < set(probe.channels)


def test_a_namespace_that_is_gone_raises() -> None:
    with pytest.raises(OSError):
        Namespace(lambda: "/proc/none/net").read()


def test_interfaces_that_come_and_go_take_nothing_back(tmp_path: Path) -> None:
    (tmp_path / "snmp").write_text("")
    (tmp_path / "sockstat").write_text("")

    def read(probe: Namespace, **received: int) -> float:
        rows = [f"{name}: {bytes} 5 0 0 0 0 0 0 7 3 0" for name, bytes in received.items()]
        (tmp_path / "dev").write_text(
            "\n".join(["Inter-|", " face |", *rows, "lo: 900 9 0 0 0 0 0 0 9 9 0"])
        )
        return probe.read()[0]

    probe = Namespace(lambda: str(tmp_path))
    assert read(probe, eth0=1000, tap0=50) == 1050
    assert read(probe, eth0=1100, tap0=60) == 1160
    assert read(probe, eth0=1100) == 1160, "tap0 is gone"
    assert read(probe, eth0=1100, tap0=70000) == 1160, "another tap0 is there"
    assert read(probe, eth0=1101, tap0=70009) == 1170
    assert read(probe, eth0=3, tap0=70009) == 1173, "eth0 began anew"
