import socket

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
