"""Where incidents are sent: syslog over UDP or TCP (RFC 5424), webhooks, and MQTT brokers."""

import http.client
import os
import platform
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

from phasewatch.errors import Refused
from phasewatch.live.outputs.delivery import Undeliverable
from phasewatch.live.outputs.mqtt import publisher

SECONDS = 10.0
TOKEN = "PHASEWATCH_WEBHOOK_TOKEN"
"""The environment variable with the token of webhooks: none stands in a command line."""

LOCAL0, WARNING = 16, 4
SYSLOG_PORT = 514
EXPECTED = "syslog://HOST:PORT, syslog+tcp://HOST:PORT, http(s)://… or mqtt(s)://HOST:PORT/TOPIC"

Send = Callable[[bytes], None]


def receiver(url: str) -> Send:
    """Return the function that sends a message to a URL. Raises Refused for one of another kind."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    makers = {
        "syslog": lambda: _datagrams(str(host), port or SYSLOG_PORT),
        "syslog+tcp": lambda: _stream(str(host), port or SYSLOG_PORT),
        "http": lambda: _webhook(parts),
        "https": lambda: _webhook(parts),
        "mqtt": lambda: publisher(parts),
        "mqtts": lambda: publisher(parts),
    }
    if not host or parts.scheme not in makers:
        raise Refused(f"alert {url}", "is no receiver", EXPECTED, "Correct it.", code="receiver")
    return makers[parts.scheme]()


def syslog(message: bytes, now: datetime | None = None) -> bytes:
    """Return a message in the format of RFC 5424: local0.warning, of the program phasewatch."""
    time = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    host = platform.node() or "-"
    head = f"<{8 * LOCAL0 + WARNING}>1 {time} {host} phasewatch {os.getpid()} incident - "
    return head.encode("ascii", "replace") + message


def _datagrams(host: str, port: int) -> Send:
    def send(message: bytes) -> None:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as link:
            link.sendto(syslog(message), address)

    return send


def _stream(host: str, port: int) -> Send:
    """Return a sender over TCP, each message after its length in octets (RFC 6587)."""

    def send(message: bytes) -> None:
        framed = syslog(message)
        with socket.create_connection((host, port), SECONDS) as link:
            link.sendall(b"%d %s" % (len(framed), framed))

    return send


def _webhook(parts: SplitResult) -> Send:
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    place = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def send(message: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "phasewatch"}
        if token := os.environ.get(TOKEN):
            headers["Authorization"] = f"Bearer {token}"
        link = kinds[parts.scheme](str(parts.hostname), parts.port, timeout=SECONDS)
        try:
            link.request("POST", place, message, headers)
            _check(link.getresponse().status)
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP: {error!r}") from error
        finally:
            link.close()

    return send


def _check(status: int) -> None:
    """Raise OSError for a status that may pass, and Undeliverable for one that will not."""
    if 200 <= status < 300:
        return
    if status in (408, 425, 429) or status >= 500:
        raise OSError(f"status {status}")
    raise Undeliverable(f"status {status}")
