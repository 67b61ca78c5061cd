"""Serves a receiver over HTTP, on the ASGI server that the page uses: one PUT per episode or batch.

The receiver decides what is taken. This module limits connections, disconnects silent and slow
senders, and responds in JSON to everything, other methods and invalid HTTP included.
"""

import asyncio
import concurrent.futures
import contextlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.datastructures import Headers
from uvicorn.protocols.http.h11_impl import H11Protocol

from phasewatch.errors import Refused
from phasewatch.io import atomic
from phasewatch.io.link import BATCH_BYTES, SAMPLES_PATH
from phasewatch.store import receiver as rules
from phasewatch.store.receiver import Declined, Receiver
from phasewatch.store.samples import Samples, Unfit

DRAIN_S, DRAIN_BYTES = 1.0, 1 << 20
"""How long, and how much, a declined sender is still read, so that it gets the response."""

Log = Callable[[str], None]

_EXTRA_HEADERS = {
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After", "1"),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After", "1"),
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate", "Bearer"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("Allow", "PUT"),
}


def _response(status: HTTPStatus, value: dict[str, str]) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the header fields and body of a response; one that declines closes the connection."""
    data = atomic.canonical_json(value)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
    if status in _EXTRA_HEADERS:
        headers.append(_EXTRA_HEADERS[status])
    if status >= HTTPStatus.BAD_REQUEST:
        headers.append(("Connection", "close"))
    return [(name.lower().encode(), text.encode()) for name, text in headers], data


class UploadConnection(H11Protocol):
    """A connection of the receiver, one of a limited number.

    A sender must have sent the head of an upload within `SILENCE_S`; the body is timed where it is
    read.
    """

    _ended = False
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, or respond 503 where the receiver has no slot left."""
        full = len(self.connections) >= self.config.app.slots  # type: ignore[union-attr]
        super().connection_made(transport)
        if full:
            self.connections.discard(self)
            self._end(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
        else:
            self._time_head()

    def data_received(self, data: bytes) -> None:
        """Read received data; a head that has begun must be complete in time."""
        if self._ended:
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._head_timer is None and not self._ended:
            self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer of a lost connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Respond 400 to a request that is no valid HTTP."""
        self._end(HTTPStatus.BAD_REQUEST, "is no HTTP that can be understood")

    def _time_head(self) -> None:
        """Cut the connection unless the head of an upload is complete in time."""
        self._head_timer = self.loop.call_later(rules.SILENCE_S, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end(self, status: HTTPStatus, reason: str) -> None:
        """Decline before there is an upload: respond, read no more, and close after `DRAIN_S`."""
        self._ended = True
        self._stop_timer()
        headers, data = _response(status, {"error": reason})
        encoder = h11.Connection(h11.SERVER)
        phrase = status.phrase.encode()
        response = h11.Response(status_code=status.value, headers=headers, reason=phrase)
        for event in (response, h11.Data(data=data), h11.EndOfMessage()):
            self.transport.write(encoder.send(event) or b"")
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # To close at once would reset the connection, and the sender might not see the response.
        self.loop.call_later(DRAIN_S, self.transport.close)


class _Body:
    """The body of an upload, passed from the event loop to the thread that reads it."""

    def __init__(self, receive: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._receive, self._loop = receive, loop
        self._left, self._more = b"", True

    def read1(self, most: int, /) -> bytes:
        """Return at most `most` bytes as they come, none at the end. Raises TimeoutError."""
        while not self._left and self._more:
            coming = asyncio.run_coroutine_threadsafe(self._receive(), self._loop)
            try:
                message = coming.result(rules.SILENCE_S)
            except TimeoutError:
                coming.cancel()
                raise
            except concurrent.futures.CancelledError:
                message = {}
            self._left = message.get("body", b"")
            self._more = message.get("more_body", False)
        data, self._left = self._left[:most], self._left[most:]
        return data


class Uploads:
    """The ASGI application: one thread and one line of log per upload.

    A batch of `samples` has a line of log only where it is the first of its stream, or is declined.
    """

    def __init__(self, receiver: Receiver, log: Log, samples: Samples | None = None) -> None:
        self._receiver, self._log, self._samples = receiver, log, samples
        self.slots = receiver.limits.slots
        self.threads = ThreadPoolExecutor(self.slots, "upload")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond to one request, as ASGI specifies."""
        query = scope["query_string"]
        target = (scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
        loop = asyncio.get_running_loop()
        status, value, line = await loop.run_in_executor(
            self.threads, self._handle, scope, target, _Body(receive, loop)
        )
        try:
            await _respond(send, receive, status, value)
        finally:
            # Also when the sender has gone meanwhile.
            if line:
                self._log(f"{status.value} {line}")

    def _handle(
        self, scope: Any, target: str, body: _Body
    ) -> tuple[HTTPStatus, dict[str, str], str]:
        """Return the status and value of the response, and the line of log."""
        try:
            if scope["method"] != "PUT":
                reason = f"{scope['method']} is not taken, PUT is"
                raise Declined(HTTPStatus.METHOD_NOT_ALLOWED, reason)
            if target.startswith(SAMPLES_PATH) and self._samples is not None:
                return self._take(self._samples, target, Headers(scope=scope), body)
            receipt = self._receiver.put(target, Headers(scope=scope), body)
        except Unfit as unfit:
            return unfit.status, {"error": str(unfit), "position": str(unfit.position)}, ""
        except Declined as declined:
            return declined.status, {"error": str(declined)}, f"{target!r}: {declined}"
        except OSError as error:
            return _failed("it could not be written", target, str(error))
        except Exception as error:
            return _failed("it could not be handled", target, f"{type(error).__name__}: {error}")
        value = {"id": receipt.id, "sha256": receipt.sha256}
        return receipt.status, value, f"{receipt.id} of {receipt.host}"

    def _take(
        self, samples: Samples, target: str, head: Headers, body: _Body
    ) -> tuple[HTTPStatus, dict[str, str], str]:
        """Take a batch of samples. Raises Declined, and OSError."""
        host = self._receiver.sender(head)
        self._receiver.refuse_full(BATCH_BYTES)
        position, first = samples.put(host, target, head, body)
        line = f"{target!r}: samples of {host}" if first else ""
        return HTTPStatus.OK, {"position": str(position)}, line


def _failed(reason: str, target: str, cause: str) -> tuple[HTTPStatus, dict[str, str], str]:
    """Return the response to an upload that failed here; the cause is for the log alone."""
    line = f"{target!r}: {' '.join(cause.split())}"
    return HTTPStatus.INTERNAL_SERVER_ERROR, {"error": reason}, line


async def _respond(send: Any, receive: Any, status: HTTPStatus, value: dict[str, str]) -> None:
    """Send a response, and read on for a moment where it declines an upload."""
    headers, data = _response(status, value)
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": data, "more_body": True})
    if status >= HTTPStatus.BAD_REQUEST:
        await _drain(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Any) -> None:
    """Read some of the rest, or the sender would be disconnected before the response."""
    left, more = DRAIN_BYTES, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while left > 0 and more:
                message = await receive()
                left -= len(message.get("body", b""))
                more = message.get("more_body", False)


# ---------------------------------------------------------------- the server


def try_to_listen(host: str, port: int) -> None:
    """Raise Refused where a server cannot listen at `host` and `port`."""
    try:
        with socket.socket(_family(host)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
    # TypeError is how Python reports a name of a host that has no encoding.
    except (OSError, UnicodeError, TypeError) as error:
        raise Refused(
            f"{host}:{port}",
            getattr(error, "strerror", None) or str(error),
            "an address and port to listen at",
            "Choose others with --host and --port.",
            code="address",
        ) from error


def _family(host: str) -> socket.AddressFamily:
    """Return the family of an address, IPv6 for one with a colon."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Server:
    """A receiver that listens at an address; `log` gets one line an upload.

    Without `samples` it takes episodes alone. `tls` is a certificate and its private key, in PEM.
    Use it in a `with`.
    """

    def __init__(
        self,
        address: tuple[str, int],
        receiver: Receiver,
        log: Log,
        tls: tuple[Path, Path] | None = None,
        samples: Samples | None = None,
    ) -> None:
        self._sock = socket.create_server(address, family=_family(address[0]), backlog=64)
        self._uploads = Uploads(receiver, log, samples)
        self._stopped = threading.Event()
        certificate, key = tls or (None, None)
        config = uvicorn.Config(
            self._uploads,
            http=UploadConnection,
            ws="none",
            lifespan="off",
            log_level="critical",
            access_log=False,
            server_header=False,
            backlog=64,
            timeout_keep_alive=round(rules.SILENCE_S),
            timeout_graceful_shutdown=1,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        self._server = uvicorn.Server(config)

    @property
    def server_address(self) -> tuple[str, int]:
        """The address and port that it listens at."""
        host, port, *_ = self._sock.getsockname()
        return host, port

    def __enter__(self) -> "Server":
        """Return the server, which listens already."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the socket, and wait for the threads of uploads."""
        self._sock.close()
        self._uploads.threads.shutdown()

    def serve_forever(self) -> None:
        """Take uploads until `shutdown`, or until a signal ends the process."""
        try:
            self._server.run(sockets=[self._sock])
        finally:
            self._stopped.set()

    def shutdown(self) -> None:
        """End `serve_forever` in another thread, and wait for it."""
        self._server.should_exit = True
        self._stopped.wait()
