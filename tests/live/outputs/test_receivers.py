"""Messages as real receivers on this machine get them: sockets, and an HTTP server."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from phasewatch.errors import Refused
from phasewatch.live.outputs.delivery import Undeliverable
from phasewatch.live.outputs.receivers import TOKEN, receiver, syslog

RFC5424 = re.compile(
    rb"<132>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ phasewatch \d+ incident - (.*)"
)


def test_a_syslog_message_is_of_rfc_5424() -> None:
    framed = syslog(b'{"a": 1}', datetime(2026, 11, 29, tzinfo=UTC))
    found = RFC5424.fullmatch(framed)
    assert found is not None and found[1] == b'{"a": 1}'
    assert b"2026-11-29T00:00:00.000000Z" in framed


def test_syslog_over_udp_is_one_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)
        receiver(f"syslog://127.0.0.1:{server.getsockname()[1]}")(b"hello")
        found = RFC5424.fullmatch(server.recv(4096))
    assert found is not None and found[1] == b"hello"


def test_syslog_over_tcp_has_its_length_before_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        receiver(f"syslog+tcp://127.0.0.1:{server.getsockname()[1]}")(b"hello")
        link, _ = server.accept()
        with link, link.makefile("rb") as file:
            size, _, rest = file.read().partition(b" ")
    assert len(rest) == int(size) and RFC5424.fullmatch(rest)


class Handler(BaseHTTPRequestHandler):
    status = 200
    got: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, dict(self.headers), body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def hook(code: int) -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    got: list[tuple[str, dict[str, str], bytes]] = []
    handler = type("One", (Handler,), {"status": code, "got": got})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/in?x=1", got
        finally:
            server.shutdown()
            thread.join()


def test_a_webhook_gets_json_with_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "secret")
    with hook(204) as (url, got):
        receiver(url)(b'{"a": 1}')
    ((path, headers, body),) = got
    assert (path, body) == ("/in?x=1", b'{"a": 1}')
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(("code", "error"), [(500, OSError), (429, OSError), (400, Undeliverable)])
def test_a_status_says_whether_to_try_again(code: int, error: type[Exception]) -> None:
    with hook(code) as (url, _), pytest.raises(error, match=f"status {code}"):
        receiver(url)(b"{}")


def test_a_redirection_is_not_followed() -> None:
    with hook(302) as (url, _), pytest.raises(Undeliverable):
        receiver(url)(b"{}")


def test_a_receiver_that_is_not_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for scheme in ("http", "syslog+tcp"):
        with pytest.raises(OSError):
            receiver(f"{scheme}://127.0.0.1:{port}")(b"{}")


@pytest.mark.parametrize(
    "url", ["", "ftp://host", "https://", "syslog", "http://host:port", "http://[1"]
)
def test_what_is_no_receiver_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="is no receiver; expected syslog://"):
        receiver(url)
