"""The stream of events to one viewer; who does not read is cut off."""

import asyncio
import socket
import struct
from typing import Any, ClassVar

from fastapi.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from phasewatch.serve.broker import Viewer
from phasewatch.serve.runtime import Runtime

WRITE_S = 4.0
"""The stream of events to one viewer; who does not read is cut off."""


SEND_BYTES = 16 * 1024
"""The stream of events to one viewer; who does not read is cut off."""


class Stream(Response):
    """Server-sent events to one viewer, who is cut off when it takes no byte for `WRITE_S`."""

    def __init__(self, runtime: Runtime, viewer: Viewer, last_id: str) -> None:
        super().__init__(media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._desk, self._viewer, self._last_id = runtime, viewer, last_id

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI has it."""
        broker, viewer = self._desk.broker, self._viewer
        headers = [one for one in self.raw_headers if one[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.create_task(_gone(receive, viewer))
        try:
            greeting = broker.join(viewer, self._last_id)
            await _write(send, greeting)
            async for chunk in viewer.stream():
                await _write(send, chunk)
        except TimeoutError:
            counted = self._desk.given.counted
            counted["viewers_cut"] = counted.get("viewers_cut", 0) + 1
            ViewerConnection.abort(scope)
        finally:
            broker.leave(viewer)
            gone.cancel()


class ViewerConnection(H11Protocol):
    """A connection that holds little back, and that can be cut with what it holds."""

    _open: ClassVar[dict[Any, asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As asyncio has it."""
        transport.set_write_buffer_limits(high=SEND_BYTES)
        self._open[transport.get_extra_info("peername")[:2]] = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio has it."""
        self._open.pop(self.client, None)
        super().connection_lost(exc)

    @classmethod
    def abort(cls, scope: Any) -> None:
        """Cut the connection of a request; to close it would wait for who does not read."""
        if line := cls._open.pop(tuple(scope["client"]), None):
            # A reset at once: what waits in the kernel would never be read.
            sock = line.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.abort()


async def _write(send: Any, chunk: bytes) -> None:
    body = {"type": "http.response.body", "body": chunk, "more_body": True}
    async with asyncio.timeout(WRITE_S):
        await send(body)


async def _gone(receive: Any, viewer: Viewer) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    viewer.close()
