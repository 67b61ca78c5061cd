"""The stream of events to one viewer; a viewer that does not read is disconnected."""

import asyncio
import socket
import struct
from typing import Any, ClassVar

from fastapi.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from phasewatch.serve.broker import Viewer
from phasewatch.serve.runtime import Runtime

WRITE_S = 4.0
"""How long a viewer may take no byte before it is disconnected."""

SEND_BYTES = 16 * 1024
"""How much the kernel, and the server above it, hold back for one connection."""


class EventStream(Response):
    """Server-sent events to one viewer, which is disconnected when it reads nothing for `WRITE_S`.

    `last_id` is the last event that the viewer was sent before; empty for a new one.
    """

    def __init__(self, runtime: Runtime, viewer: Viewer, last_id: str) -> None:
        super().__init__(media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._runtime, self._viewer, self._last_id = runtime, viewer, last_id

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the greeting, what was missed, and events as they come (ASGI)."""
        broker, viewer = self._runtime.broker, self._viewer
        headers = [one for one in self.raw_headers if one[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        disconnected = asyncio.create_task(_close_when_gone(receive, viewer))
        try:
            greeting = broker.join(viewer, self._last_id)
            await _write(send, greeting)
            async for chunk in viewer.stream():
                await _write(send, chunk)
        except TimeoutError:
            self._runtime.context.counters.viewers_cut.inc()
            ViewerConnection.abort(scope)
        finally:
            broker.leave(viewer)
            disconnected.cancel()


class ViewerConnection(H11Protocol):
    """A connection that buffers little, and that can be cut with what it buffers."""

    _open: ClassVar[dict[Any, asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Limit the write buffer and remember the transport (asyncio)."""
        transport.set_write_buffer_limits(high=SEND_BYTES)
        self._open[transport.get_extra_info("peername")[:2]] = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport (asyncio)."""
        self._open.pop(self.client, None)
        super().connection_lost(exc)

    @classmethod
    def abort(cls, scope: Any) -> None:
        """Cut the connection of a request; closing it would wait for a viewer that never reads."""
        if transport := cls._open.pop(tuple(scope["client"]), None):
            # A reset at once: what waits in the kernel would never be read.
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()


async def _write(send: Any, chunk: bytes) -> None:
    body = {"type": "http.response.body", "body": chunk, "more_body": True}
    async with asyncio.timeout(WRITE_S):
        await send(body)


async def _close_when_gone(receive: Any, viewer: Viewer) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    viewer.close()
