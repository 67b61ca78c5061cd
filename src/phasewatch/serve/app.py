"""The page, the stream of events and queries over HTTP or HTTPS.

On loopback every user of the machine may look. Beyond it a request needs the token, and Host must
be a name that this server was given. What changes the replay needs `control`, and an Origin that is
this server.
"""

import gzip
import mimetypes
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import resources
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import generate_latest
from pydantic import BaseModel, ConfigDict, Field

from phasewatch import __version__
from phasewatch.errors import Refused
from phasewatch.io.tls import Certificate
from phasewatch.live import exports
from phasewatch.live.incidents import Incident
from phasewatch.serve import documents, registry
from phasewatch.serve.access import Access, Asgi, Guard, denied
from phasewatch.serve.broker import Viewer
from phasewatch.serve.replay.clock import Operation
from phasewatch.serve.runtime import Runtime
from phasewatch.serve.sse import SEND_BYTES, EventStream, ViewerConnection

STATUS = {"stale": 409, "unknown": 404}


EXPORTS: dict[str, tuple[Callable[[Sequence[Incident]], str], str]] = {
    "jsonl": (exports.json_lines, "application/jsonl"),
    "stix.json": (exports.stix, "application/stix+json;version=2.1"),
    "ocsf.jsonl": (exports.ocsf, "application/jsonl"),
}
"""What writes incidents, and the media type of that, by the ending of the address."""


class IncidentAction(BaseModel):
    """What a person does about an incident; see `producers.fleet.Producer.act`."""

    model_config = ConfigDict(extra="forbid")
    op: Literal["acknowledge", "reopen", "note", "mute", "unmute"]
    text: str = ""
    minutes: Annotated[float, Field(gt=0, le=60 * 24 * 365)] = 60.0


class TransportRequest(BaseModel):
    """The body of a request that moves the replay; see `replay.clock.Operation`."""

    model_config = ConfigDict(extra="forbid")
    op: Operation
    value: float | str | tuple[float, float] | None = None
    if_revision: int | None = None


def application(runtime: Runtime, access: Access) -> Asgi:
    """Return the ASGI application: stream, queries, documents and page, behind the guard."""
    app = FastAPI(title="Phasewatch", version=__version__, docs_url=None, redoc_url=None)
    _stream(app, runtime)
    _queries(app, runtime)
    _incidents(app, runtime)
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
        unknown = sorted(set(wanted) - set(registry.kinds()))
        if unknown:
            known = ", ".join(registry.kinds())
            raise Refused(
                "types", f"{', '.join(unknown)} unknown", f"some of {known}", "Correct it."
            )
        return EventStream(runtime, Viewer(wanted, max_hz), last_event_id)

    @app.post("/api/transport")
    def _transport(request: TransportRequest) -> dict[str, int]:
        return {
            "revision": runtime.replay.playback.operate(
                request.op, request.value, request.if_revision
            )
        }


def _queries(app: FastAPI, runtime: Runtime) -> None:
    queries = runtime.replay.queries

    @app.get("/api/corpus")
    def _corpus() -> list[dict[str, Any]]:
        return queries.corpus()

    @app.get("/api/episodes/{id}")
    def _episode(id: str) -> dict[str, Any]:
        return queries.episode(id).model_dump(mode="json")

    @app.get("/api/episodes/{id}/windows")
    def _windows(id: str) -> list[dict[str, Any]]:
        return [window.model_dump(mode="json") for window in queries.windows(id)]

    @app.get("/api/episodes/{id}/windows/{index}/why")
    def _why(id: str, index: int, model: str, label: str = "") -> dict[str, Any]:
        found = asdict(queries.attribution(id, index, model, label))
        levels = [asdict(one) for one in queries.levels(id, index)]
        return {"episode_id": id, "index": index, **found, "levels": levels}

    @app.get("/api/episodes/{id}/windows/{index}/samples")
    def _samples(id: str, index: int) -> list[dict[str, Any]]:
        return [asdict(one) for one in queries.samples(id, index)]

    @app.get("/api/episodes/{id}/progress")
    def _progress(id: str) -> dict[str, Any]:
        return asdict(queries.progress(id))

    @app.get("/api/confusion/{model}/{truth}/{predicted}")
    def _cell(model: str, truth: str, predicted: str) -> list[dict[str, Any]]:
        return [asdict(one) for one in queries.cell(model, truth, predicted)]

    @app.get("/api/episodes/{id}/incidents.jsonl")
    def _episode_incidents(id: str, model: str) -> Response:
        found = exports.json_lines(queries.incidents(id, model))
        return PlainTextResponse(found, media_type="application/jsonl")

    @app.get("/api/episodes/{id}/incidents.stix.json")
    def _stix(id: str, model: str) -> Response:
        found = exports.stix(queries.incidents(id, model))
        return Response(found, media_type="application/stix+json;version=2.1")


def _incidents(app: FastAPI, runtime: Runtime) -> None:
    ledger = runtime.fleet.ledger

    @app.get("/api/incidents")
    def _ledger() -> list[dict[str, Any]]:
        return ledger.rows() if ledger else []

    @app.post("/api/incidents/{id}")
    def _act(id: str, action: IncidentAction) -> list[dict[str, Any]]:
        runtime.fleet.act(id, action.op, action.text, action.minutes)
        return runtime.fleet.known.rows(id)

    @app.get("/api/incidents.{form}")
    def _export(form: str, id: str | None = None) -> Response:
        if form not in EXPORTS:
            return denied(404, f"one of {', '.join(EXPORTS)}")
        write, kind = EXPORTS[form]
        return Response(write(ledger.incidents(id) if ledger else []), media_type=kind)


def _documents(app: FastAPI, runtime: Runtime) -> None:
    found = documents.documents()
    metrics = runtime.context.counters.registry

    @app.get("/api/schemas/{name}")
    def _schemas(name: str) -> Response:
        if name not in found:
            return denied(404, f"one of {', '.join(found)}")
        return Response(found[name], media_type="application/schema+json")

    @app.get("/api/producers")
    def _producers() -> list[dict[str, Any]]:
        return runtime.status()

    @app.get("/metrics")
    def _metrics() -> Response:
        return Response(generate_latest(metrics), media_type="text/plain; version=0.0.4")

    @app.get("/healthz")
    def _healthz() -> Response:
        status = 503 if runtime.failures else 200
        return JSONResponse({"status": "troubled" if runtime.failures else "ok"}, status)


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
    """Return the files of the built page by their address: as they are, and compressed."""
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
    """Return a bound socket with a send buffer so small that a stalled viewer is noticed.

    Raises Refused when the address or the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted connections inherit it.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    try:
        sock.bind((address, port))
    # TypeError is how Python reports a name of a host that has no encoding.
    except (OSError, UnicodeError, TypeError) as error:
        sock.close()
        raise Refused(
            f"{address}:{port}",
            getattr(error, "strerror", None) or str(error),
            "an address of this machine and a free port",
            "Choose another with --bind and --port.",
        ) from error
    return sock


def server(app: Asgi, certificate: Certificate | None = None) -> uvicorn.Server:
    """Return a server for the application, over TLS when there is a certificate.

    `run(sockets=[...])` serves until a signal.
    """
    config = uvicorn.Config(
        app,
        http=ViewerConnection,
        log_level="critical",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=30,
        ssl_certfile=certificate[0] if certificate else None,
        ssl_keyfile=certificate[1] if certificate else None,
    )
    return uvicorn.Server(config)
