"""A viewer that comes back is sent what it missed; one that does not read is disconnected."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.certificates import self_signed
from tests.served import Served, serving, until

from phasewatch.serve import sse
from phasewatch.serve.access import Access
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.producers import perf


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(ProducerContext(None, None), Access()) as one:
        yield one


def test_a_viewer_that_returns_continues_where_it_was(served: Served) -> None:
    with served.events("/api/events?types=perf") as reader:
        last = reader.next("perf")[0]
    time.sleep(1.2)
    with served.events(last=last) as reader:
        assert reader.next("hello")[2]["resumed"] is True
        assert int(reader.next()[0].split(":")[1]) == int(last.split(":")[1]) + 1


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_viewer_that_does_not_read_is_disconnected(
    tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "WRITE_S", 0.3)
    certificate = self_signed(tmp_path) if tls else None
    with serving(ProducerContext(None, None), Access(), certificate) as one:
        link = socket.create_connection(("127.0.0.1", one.port))
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if certificate:
            context = ssl.create_default_context(cafile=str(certificate[0]))
            link = context.wrap_socket(link, server_hostname="127.0.0.1")
        link.sendall(b"GET /api/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        until(lambda: one.runtime.context.counters.value("viewers") == 1)
        until(lambda: _cut(one))
        # OpenSSL may report a reset in the middle of a record as an end.
        ended = contextlib.suppress(ConnectionResetError)
        with ended if tls else pytest.raises(ConnectionResetError):
            while link.recv(1 << 16):
                pass
        link.close()


def test_a_viewer_that_never_finishes_its_handshake_holds_up_no_other(tmp_path: Path) -> None:
    with (
        serving(ProducerContext(None, None), Access(), self_signed(tmp_path)) as one,
        socket.create_connection(("127.0.0.1", one.port)),
        one.events() as reader,
    ):
        assert reader.next("hello")[2]["boot"] == one.runtime.broker.boot
        assert one.runtime.context.counters.value("viewers") == 1


def _cut(one: Served) -> bool:
    """Publish many events; return whether the viewer that reads nothing was cut off."""
    event = perf.Producer(one.runtime.context, lambda event: None).measure(psutil.Process(), 1.0)
    for _ in range(200):
        one.runtime.broker.publish(event)
    return one.runtime.context.counters.value("viewers_cut_total") == 1


def test_events_come_over_tls(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with (
        serving(ProducerContext(None, None), Access(), certificate) as one,
        one.events() as reader,
    ):
        assert reader.next("hello")[2]["boot"] == one.runtime.broker.boot
        assert reader.next("perf")[2]["data"]["uptime_s"] > 0
