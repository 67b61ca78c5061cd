"""The page, the stream of events and the questions, over HTTP; strict about who asks.

On loopback anyone on the machine may look. Beyond it a token is asked for, and Host must be a name
this server was given. What changes the replay needs `control`, and an Origin of its own.
"""

import asyncio
import gzip
import hmac
import mimetypes
import secrets
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import resources
from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import uvicorn
from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel, ConfigDict
from uvicorn.protocols.http.h11_impl import H11Protocol

from phasewatch import __version__
from phasewatch.errors import Refused
from phasewatch.live import incidents
from phasewatch.serve import events
from phasewatch.serve.broker import Hub, Viewer
from phasewatch.serve.events import Given, Producer
from phasewatch.serve.producers import replay

LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "phasewatch_token"
OPEN = ("/healthz",)
"""What is answered without a token."""

WRITE_S = 4.0
"""How long a viewer may take no byte before it is cut off."""

SEND_BYTES = 16 * 1024
"""What waits for one viewer outside its queue: little, so that one who does not read is noticed."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
STATUS = {"stale": 409}


@dataclass(frozen=True)
class Access:
    """Who may ask: `names` that Host may have, the `token` asked for (none when empty), control."""

    names: tuple[str, ...] = LOOPBACK
    token: str = ""
    control: bool = False

    @classmethod
    def at(cls, address: str, names: Sequence[str], token: str, control: bool) -> "Access":
        """For a server bound to `address`: beyond loopback there is always a token."""
        if address in LOOPBACK:
            return cls((*LOOPBACK, *names), token, control)
        known = (*LOOPBACK, address, socket.gethostname(), *names)
        return cls(known, token or secrets.token_urlsafe(24), control)


@dataclass
class Desk:
    """Producers at work on what is given, and the hub that they tell.

    `troubles` says why a producer has stopped, by its name.
    """

    given: Given
    control: bool = False
    troubles: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hub = Hub(self.given.counted)
        self.producers: dict[str, Producer] = {
            name: kind(self.given, self.hub.tell) for name, kind in events.find().items()
        }
        self.replay.control = self.control

    @property
    def replay(self) -> replay.Producer:
        """The producer that can be moved and asked."""
        found = self.producers["replay"]
        assert isinstance(found, replay.Producer)
        return found

    @contextmanager
    def working(self) -> Iterator["Desk"]:
        """Every producer in a thread of its own, until the block ends."""
        stop = threading.Event()
        threads = [
            threading.Thread(target=self._work, args=(name, stop), name=name, daemon=True)
            for name in self.producers
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)

    def _work(self, name: str, stop: threading.Event) -> None:
        try:
            self.producers[name].work(stop)
        except Refused as refused:
            self.troubles[name] = str(refused)
        except Exception as error:
            # A fault in one producer is told on its scene, and leaves the others at work.
            self.troubles[name] = f"{type(error).__name__}: {error}; report this"

    def told(self) -> list[dict[str, Any]]:
        """Every producer: what it tells, what would give it something to tell, what stopped it."""
        return [
            {
                "name": name,
                "kinds": [kind.kind for kind in producer.kinds],
                "every_s": {kind.kind: kind.every_s for kind in producer.kinds},
                "fill": producer.fill,
                "trouble": self.troubles.get(name),
            }
            for name, producer in self.producers.items()
        ]


# ---------------------------------------------------------------- the stream


class Stream(Response):
    """Server-sent events to one viewer, who is cut off when it takes no byte for `WRITE_S`."""

    def __init__(self, desk: Desk, viewer: Viewer, last_id: str) -> None:
        super().__init__(media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._desk, self._viewer, self._last_id = desk, viewer, last_id

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI has it."""
        hub, viewer = self._desk.hub, self._viewer
        headers = [one for one in self.raw_headers if one[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.create_task(_gone(receive, viewer))
        try:
            greeting = hub.join(viewer, self._last_id)
            await _write(send, greeting)
            async for chunk in viewer.stream():
                await _write(send, chunk)
        except TimeoutError:
            counted = self._desk.given.counted
            counted["viewers_cut"] = counted.get("viewers_cut", 0) + 1
            Line.abort(scope)
        finally:
            hub.leave(viewer)
            gone.cancel()


class Line(H11Protocol):
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


# ---------------------------------------------------------------- who may ask

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class Guard:
    """In front of everything: Host, token, Origin, and headers that keep the page to itself."""

    def __init__(self, app: Asgi, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(key.encode(), value.encode()) for key, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        answer = self._refusal(request)
        await (answer or self._app)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        access = self._access
        host = urlsplit(f"//{request.headers.get('host', '')}")
        if host.hostname not in access.names:
            return _no(421, f"this server is not called {host.hostname!r}; see --name")
        if access.token and request.url.path not in OPEN:
            asked = parse_qs(request.url.query).get("token", [""])[0]
            if asked and _same(asked, access.token):
                return _welcome(access.token)
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not any(
                _same(told, access.token) for told in (bearer, request.cookies.get(COOKIE, ""))
            ):
                return _no(401, "a token is asked for: open the address that serve printed")
        if request.method not in ("GET", "HEAD"):
            if not access.control:
                return _no(403, "control is off; serve with --allow-control")
            origin = urlsplit(request.headers.get("origin", ""))
            if origin.netloc != host.netloc:
                return _no(403, "asked from another page")
        return None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _no(status: int, why: str) -> Response:
    return JSONResponse({"refused": why}, status)


def _welcome(token: str) -> Response:
    """The token moves from the address, which is seen and kept, to a cookie, which is not."""
    answer = Response(status_code=303, headers={"location": "/"})
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86400)
    return answer


# ---------------------------------------------------------------- figures for Prometheus


class Figures(Collector):
    """What producers and the hub have counted."""

    def __init__(self, counted: Mapping[str, Any]) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        """As Prometheus asks."""
        totals = {
            "events": "events told",
            "events_dropped": "events dropped for slow viewers",
            "viewers_cut": "viewers cut off because they did not read",
            "windows": "windows judged",
            "windows_skipped": "windows skipped to keep up",
            "samples_late": "samples that came after their window was judged",
            "deadline_misses": "windows whose judgement took longer than a stride",
        }
        for name, meaning in totals.items():
            key = name if name in self._counted else f"{name}_total"
            value = float(self._counted.get(key, 0))
            yield CounterMetricFamily(f"phasewatch_{name}", meaning, value=value)
        viewers = float(self._counted.get("viewers", 0))
        yield GaugeMetricFamily("phasewatch_viewers", "viewers now", value=viewers)
        depth = float(self._counted.get("queue_depth", 0))
        yield GaugeMetricFamily("phasewatch_queue_depth", "longest queue now", value=depth)
        last = GaugeMetricFamily(
            "phasewatch_inference_seconds", "last window to logits", labels=["model"]
        )
        for model, times in dict(self._counted.get("latency_s", {})).items():
            if times:
                last.add_metric([model], times[-1])
        yield last


# ---------------------------------------------------------------- the application


class Turn(BaseModel):
    """A turn of the replay's transport."""

    model_config = ConfigDict(extra="forbid")
    op: replay.Operation
    value: float | str | tuple[float, float] | None = None
    if_revision: int | None = None


def application(desk: Desk, access: Access) -> Asgi:
    """All that is answered, behind the guard."""
    app = FastAPI(title="Phasewatch", version=__version__, docs_url=None, redoc_url=None)
    _stream(app, desk)
    _questions(app, desk)
    _documents(app, desk)

    @app.exception_handler(Refused)
    def _refused(request: Request, refused: Refused) -> Response:
        return JSONResponse({"refused": str(refused)}, STATUS.get(refused.code, 422))

    _page(app)
    return Guard(app, access)


def _stream(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/events")
    def _events(
        types: str = "",
        max_hz: Annotated[float | None, Query(gt=0, le=100)] = None,
        last_event_id: Annotated[str, Header()] = "",
    ) -> Response:
        """Server-sent events; `types` separated by commas, all when not given."""
        wanted = [kind for kind in types.split(",") if kind]
        unknown = sorted(set(wanted) - set(events.kinds()))
        if unknown:
            known = ", ".join(events.kinds())
            raise Refused("types", f"{', '.join(unknown)} unknown", f"some of {known}", "Ask so.")
        return Stream(desk, Viewer(wanted, max_hz), last_event_id)

    @app.post("/api/transport")
    def _transport(turn: Turn) -> dict[str, int]:
        return {"revision": desk.replay.operate(turn.op, turn.value, turn.if_revision)}


def _questions(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/corpus")
    def _corpus() -> list[dict[str, Any]]:
        return desk.replay.corpus()

    @app.get("/api/episodes/{id}")
    def _episode(id: str) -> dict[str, Any]:
        return desk.replay.facts(id).model_dump(mode="json")

    @app.get("/api/episodes/{id}/windows")
    def _windows(id: str) -> list[dict[str, Any]]:
        return [window.model_dump(mode="json") for window in desk.replay.windows(id)]

    @app.get("/api/episodes/{id}/windows/{index}/why")
    def _why(id: str, index: int, model: str, label: str = "") -> dict[str, Any]:
        return asdict(desk.replay.why(id, index, model, label))

    @app.get("/api/episodes/{id}/incidents.jsonl")
    def _incidents(id: str, model: str) -> Response:
        found = incidents.json_lines(desk.replay.incidents(id, model))
        return PlainTextResponse(found, media_type="application/jsonl")

    @app.get("/api/episodes/{id}/incidents.stix.json")
    def _stix(id: str, model: str) -> Response:
        found = incidents.stix(desk.replay.incidents(id, model))
        return Response(found, media_type="application/stix+json;version=2.1")


def _documents(app: FastAPI, desk: Desk) -> None:
    documents = events.documents()
    registry = CollectorRegistry()
    registry.register(Figures(desk.given.counted))

    @app.get("/api/schemas/{name}")
    def _schemas(name: str) -> Response:
        if name not in documents:
            return _no(404, f"one of {', '.join(documents)}")
        return Response(documents[name], media_type="application/schema+json")

    @app.get("/api/producers")
    def _producers() -> list[dict[str, Any]]:
        return desk.told()

    @app.get("/metrics")
    def _metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    @app.get("/healthz")
    def _healthz() -> Response:
        status = 503 if desk.troubles else 200
        return JSONResponse({"status": "troubled" if desk.troubles else "ok"}, status)


def _page(app: FastAPI) -> None:
    files = _files()

    @app.get("/{path:path}")
    def _file(path: str, accept_encoding: Annotated[str, Header()] = "") -> Response:
        found = files.get(path or "index.html")
        if found is None:
            return _no(404, "there is no such page")
        kind = mimetypes.guess_type(path or "index.html")[0] or "application/octet-stream"
        cache = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
        headers = {"cache-control": cache, "vary": "accept-encoding"}
        plain, small = found
        if "gzip" in accept_encoding and len(small) < len(plain):
            return Response(small, media_type=kind, headers={**headers, "content-encoding": "gzip"})
        return Response(plain, media_type=kind, headers=headers)


def _files() -> dict[str, tuple[bytes, bytes]]:
    """The built page, by address: as it is, and compressed."""
    found: dict[str, tuple[bytes, bytes]] = {}
    root = resources.files("phasewatch") / "page"

    def walk(folder: Any, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                walk(entry, f"{prefix}{entry.name}/")
            else:
                data = entry.read_bytes()
                found[f"{prefix}{entry.name}"] = (data, gzip.compress(data, 9, mtime=0))

    walk(root, "")
    return found


def listen(address: str, port: int) -> socket.socket:
    """A socket whose viewers are noticed when they stop reading. Raises Refused."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Whoever is accepted inherits it.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    try:
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise Refused(
            f"{address}:{port}",
            error.strerror or str(error),
            "an address of this machine and a free port",
            "Choose another with --bind and --port.",
        ) from error
    return sock


def server(app: Asgi) -> uvicorn.Server:
    """A server for the application; `run(sockets=[...])` serves until a signal."""
    config = uvicorn.Config(
        app,
        http=Line,
        log_level="critical",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=30,
    )
    return uvicorn.Server(config)
