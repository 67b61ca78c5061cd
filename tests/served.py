"""A server at work in this process, and a client of it."""

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phasewatch.io.tls import Certificate
from phasewatch.serve import app
from phasewatch.serve.access import Access
from phasewatch.serve.events import ProducerContext
from phasewatch.serve.runtime import Runtime

if TYPE_CHECKING:
    from playwright.sync_api import Page


@dataclass
class Served:
    """A server at work in this process; over TLS when there is a certificate."""

    runtime: Runtime
    port: int
    certificate: Certificate | None = None

    def connect(self) -> http.client.HTTPConnection:
        if self.certificate is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        context = ssl.create_default_context(cafile=self.certificate[0])
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)

    def ask(
        self, path: str, method: str = "GET", body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a response."""
        connection = self.connect()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body).encode() if body is not None else None
        if data:
            sent["content-type"] = "application/json"
        connection.request(method, path, data, sent)
        response = connection.getresponse()
        found = response.status, dict(response.getheaders()), response.read()
        connection.close()
        return found

    def get(self, path: str) -> Any:
        """Return the JSON at a path."""
        status, _, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)

    def turn(self, op: str, value: object = None, **more: object) -> int:
        """Move the replay as the page does; return the status."""
        origin = f"http://127.0.0.1:{self.port}"
        body = {"op": op, "value": value, **more}
        return self.ask("/api/transport", "POST", body, origin=origin)[0]

    @contextlib.contextmanager
    def events(self, path: str = "/api/events", last: str = "") -> Iterator["Reader"]:
        """Open a stream of events."""
        connection = self.connect()
        connection.request("GET", path, headers={"last-event-id": last} if last else {})
        try:
            yield Reader(connection.getresponse())
        finally:
            connection.close()


class Reader:
    """Reads server-sent events."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.response = response

    def next(self, kind: str = "") -> tuple[str, str, Any]:
        """Return id, kind and data of the next event (of a kind)."""
        fields: dict[str, str] = {}
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields and kind in ("", fields["event"]):
                return fields.get("id", ""), fields["event"], json.loads(fields["data"])
            else:
                fields = {}


@contextlib.contextmanager
def serving(
    context: ProducerContext, access: Access, certificate: Certificate | None = None
) -> Iterator[Served]:
    with Runtime(context, access.control).running() as runtime:
        sock = app.listen("127.0.0.1", 0)
        server = app.server(app.application(runtime, access), certificate)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield Served(runtime, sock.getsockname()[1], certificate)
        finally:
            server.should_exit = True
            thread.join(20)
            sock.close()


def until(found: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def show(page: "Page", one: Served, address: str) -> None:
    """Open the page of a server at a scene, and wait until it is connected."""
    page.goto(f"http://127.0.0.1:{one.port}/{address}")
    page.reload()
    page.wait_for_selector("[role=status]:text('connected')")
