"""The page, the stream of events and the questions, over HTTP; strict about who asks.

On loopback anyone on the machine may look. Beyond it a token is asked for, and Host must be a name
this server was given. What changes the replay needs `control`, and an Origin of its own.
"""

import gzip
import mimetypes
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib import resources
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel, ConfigDict

from phasewatch import __version__
from phasewatch.errors import Refused
from phasewatch.live import incidents
from phasewatch.serve import documents
from phasewatch.serve.access import Access, Asgi, Guard, denied
from phasewatch.serve.broker import Viewer
from phasewatch.serve.producers import replay
from phasewatch.serve.runtime import Runtime
from phasewatch.serve.sse import SEND_BYTES, Stream, ViewerConnection

STATUS = {"stale": 409}


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


def application(runtime: Runtime, access: Access) -> Asgi:
    """All that is answered, behind the guard."""
    app = FastAPI(title="Phasewatch", version=__version__, docs_url=None, redoc_url=None)
    _stream(app, runtime)
    _questions(app, runtime)
    _documents(app, runtime)

    @app.exception_handler(Refused)
    def _refused(request: Request, refused: Refused) -> Response:
        return JSONResponse({"refused": str(refused)}, STATUS.get(refused.code, 422))

    _page(app)
    return Guard(app, access)


def _stream(app: FastAPI, runtime: Runtime) -> None:
    @app.get("/api/events")
    def _events(
        types: str = "",
        max_hz: Annotated[float | None, Query(gt=0, le=100)] = None,
        last_event_id: Annotated[str, Header()] = "",
    ) -> Response:
        """Server-sent events; `types` separated by commas, all when not given."""
        wanted = [kind for kind in types.split(",") if kind]
        unknown = sorted(set(wanted) - set(documents.kinds()))
        if unknown:
            known = ", ".join(documents.kinds())
            raise Refused("types", f"{', '.join(unknown)} unknown", f"some of {known}", "Ask so.")
        return Stream(runtime, Viewer(wanted, max_hz), last_event_id)

    @app.post("/api/transport")
    def _transport(turn: Turn) -> dict[str, int]:
        return {"revision": runtime.replay.operate(turn.op, turn.value, turn.if_revision)}


def _questions(app: FastAPI, runtime: Runtime) -> None:
    @app.get("/api/corpus")
    def _corpus() -> list[dict[str, Any]]:
        return runtime.replay.corpus()

    @app.get("/api/episodes/{id}")
    def _episode(id: str) -> dict[str, Any]:
        return runtime.replay.facts(id).model_dump(mode="json")

    @app.get("/api/episodes/{id}/windows")
    def _windows(id: str) -> list[dict[str, Any]]:
        return [window.model_dump(mode="json") for window in runtime.replay.windows(id)]

    @app.get("/api/episodes/{id}/windows/{index}/why")
    def _why(id: str, index: int, model: str, label: str = "") -> dict[str, Any]:
        return asdict(runtime.replay.why(id, index, model, label))

    @app.get("/api/episodes/{id}/incidents.jsonl")
    def _incidents(id: str, model: str) -> Response:
        found = incidents.json_lines(runtime.replay.incidents(id, model))
        return PlainTextResponse(found, media_type="application/jsonl")

    @app.get("/api/episodes/{id}/incidents.stix.json")
    def _stix(id: str, model: str) -> Response:
        found = incidents.stix(runtime.replay.incidents(id, model))
        return Response(found, media_type="application/stix+json;version=2.1")


def _documents(app: FastAPI, runtime: Runtime) -> None:
    found = documents.documents()
    registry = CollectorRegistry()
    registry.register(Figures(runtime.given.counted))

    @app.get("/api/schemas/{name}")
    def _schemas(name: str) -> Response:
        if name not in found:
            return denied(404, f"one of {', '.join(found)}")
        return Response(found[name], media_type="application/schema+json")

    @app.get("/api/producers")
    def _producers() -> list[dict[str, Any]]:
        return runtime.told()

    @app.get("/metrics")
    def _metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    @app.get("/healthz")
    def _healthz() -> Response:
        status = 503 if runtime.troubles else 200
        return JSONResponse({"status": "troubled" if runtime.troubles else "ok"}, status)


def _page(app: FastAPI) -> None:
    files = _files()

    @app.get("/{path:path}")
    def _file(path: str, accept_encoding: Annotated[str, Header()] = "") -> Response:
        found = files.get(path or "index.html")
        if found is None:
            return denied(404, "there is no such page")
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
    root = resources.files("phasewatch") / "serve" / "page"

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
        http=ViewerConnection,
        log_level="critical",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=30,
    )
    return uvicorn.Server(config)
