"""Takes in shipped episodes over HTTP: one PUT each, acknowledged when it is on the disk.

A PUT may be sent again as often as the sender likes: the same bytes under the same id are already
there, other bytes are refused. What is refused, torn or killed leaves nothing in the store.
`docs/reference/store-format.md` has the words of it, `docs/decisions/0014-receiver.md` the reasons.
"""

import base64
import contextlib
import errno
import fcntl
import hashlib
import hmac
import io
import os
import re
import shutil
import socket
import stat
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from phasewatch.episode import ID
from phasewatch.errors import Refused
from phasewatch.io import atomic
from phasewatch.store.format import HEADER, MANIFEST, SAMPLES, parse, unpack
from phasewatch.store.local import Store

PLACE = "/v1/episodes/"
SPLIT = "Phasewatch-Manifest-Bytes"
"""The header that says where in the body the manifest ends and the samples begin."""

INCOMING = "incoming"
MANIFEST_LIMIT = 1 << 20
TOKEN_LEAST = 32
NUMBER = re.compile(r"[0-9]{1,18}\Z")
SENDABLE = re.compile(r"[!-~]*\Z")
"""What a token is made of: it travels in a header."""

SILENCE_S = 30.0
SLOWEST = 1024
"""Bytes a second below which an upload is given up, after `SILENCE_S` for free."""

_CHUNK = 1 << 16
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Limits:
    """What a receiver takes.

    `body` bytes an episode, `rate` uploads a minute from a host, `reserve` bytes that stay free on
    the disk, `slots` connections at once.
    """

    body: int = 64 << 20
    rate: int = 600
    reserve: int = 1 << 30
    slots: int = 32


class Declined(Exception):
    """An upload that is not taken: the HTTP status, and why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        self.status = status
        super().__init__(why)


@dataclass(frozen=True)
class Taken:
    """An episode that is in the store, on the disk: `sha256` of the body that brought it."""

    status: HTTPStatus
    id: str
    host: str
    sha256: str


@dataclass(frozen=True)
class Announced:
    """What the head of an upload says of its body: bytes in all, of the manifest, sha256."""

    length: int
    manifest: int
    sha256: str


def tokens(path: Path) -> dict[str, str]:
    """Hosts by the sha256 of their token, from a TOML file of `host = "token"`; raises Refused."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _token(path, "is a folder", "a token file")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise _token(path, "can be read by others", "a file for its owner alone: chmod 600")
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _token(path, error.strerror or str(error), "a token file") from error
    except ValueError as error:
        raise _token(path, str(error), 'lines of host = "token"') from error
    if not told:
        raise _token(path, "holds no token", "one a host")
    for host, token in told.items():
        _refuse_token(path, host, token)
    found = {hashlib.sha256(token.encode()).hexdigest(): host for host, token in told.items()}
    if len(found) < len(told):
        raise _token(path, "gives one token to two hosts", "one of its own for each")
    return found


def _refuse_token(path: Path, host: str, token: object) -> None:
    """Raise Refused unless it is a host's name, and a token that can be sent and not guessed."""
    where = f"{path}: {host}"
    if not host.strip():
        raise _token(path, "gives a token to a host without a name", "the host's name before it")
    if not isinstance(token, str):
        raise _token(where, "is no string", "a token in quotes")
    if not SENDABLE.match(token):
        problem = "holds blanks or characters beyond ASCII, which cannot be sent"
        raise _token(where, problem, "letters and digits")
    if len(token) < TOKEN_LEAST:
        raise _token(where, "is weak", f"{TOKEN_LEAST} characters or more")


def _token(where: object, problem: str, expected: str) -> Refused:
    remedy = "`openssl rand -hex 32` makes a token."
    return Refused(where, problem, expected, remedy, code="tokens")


def ready(root: Path) -> None:
    """Raise Refused unless a store is at `root`, or can be made there: it is absent or empty."""
    atomic.refuse_url(root)
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return
    # A receiver that was killed while it made the store may have left a draft.
    if HEADER not in names and not all(name.startswith(atomic.PENDING) for name in names):
        raise Refused(
            root,
            "holds files and is no episode store",
            "an episode store, or a folder that is new or empty",
            "Give another folder with --store.",
            code="store_missing",
        )


class Receiver:
    """Puts uploads into a store. Use it in a `with`: it alone receives into that store.

    `hosts` are named by the sha256 of their tokens. Raises Refused when there is none, or another
    receiver is at work.
    """

    def __init__(
        self,
        store: Store,
        hosts: Mapping[str, str],
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not hosts:
            raise _token("receiver", "has no tokens", "one a host")
        self.limits = limits
        self._store = store
        self._hosts = hosts
        self._clock = clock
        self._allowed: dict[str, tuple[float, float]] = {}
        self._counting = threading.Lock()
        self._reading = threading.Lock()
        self._incoming = store.root / INCOMING
        self._incoming.mkdir(exist_ok=True)
        (store.root / "episodes").mkdir(exist_ok=True)
        atomic.sync(store.root)
        self._lock = (self._incoming / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            remedy = "End it, or use that one."
            raise Refused(
                store.root, "another receiver is at work", "one a store", remedy
            ) from error
        for left in self._incoming.glob(f"{atomic.PENDING}*"):
            shutil.rmtree(left)

    def __enter__(self) -> "Receiver":
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Let another receive."""
        self._lock.close()

    def put(self, path: str, head: Message, body: io.BufferedIOBase) -> Taken:
        """Take one upload; when this returns, it is on the disk. Raises Declined, or OSError."""
        host = self._host(head.get("Authorization", ""))
        self._count(host)
        id = path.removeprefix(PLACE)
        if id == path or not ID.fullmatch(id):
            raise Declined(HTTPStatus.NOT_FOUND, f"not {PLACE} and an episode's id")
        announced = self._announced(head)
        if shutil.disk_usage(self._store.root).free - announced.length < self.limits.reserve:
            raise Declined(HTTPStatus.INSUFFICIENT_STORAGE, "the disk is nearly full")
        try:
            with atomic.folder(self._store.folder(id), self._incoming) as draft:
                _stream(body, draft, announced)
                self._check(draft, id, host)
        except FileExistsError:
            self._compare(id, announced.sha256)
            return Taken(HTTPStatus.OK, id, host, announced.sha256)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Declined(HTTPStatus.INSUFFICIENT_STORAGE, "the disk is full") from error
            raise
        return Taken(HTTPStatus.CREATED, id, host, announced.sha256)

    def _host(self, authorization: str) -> str:
        """Whose token it is, in a time that does not tell how much of it is right."""
        token = authorization.removeprefix("Bearer ")
        own = hashlib.sha256(token.encode()).hexdigest()
        found = [host for known, host in self._hosts.items() if hmac.compare_digest(known, own)]
        if not found or token == authorization:
            raise Declined(HTTPStatus.UNAUTHORIZED, "no host has this token")
        return found[0]

    def _count(self, host: str) -> None:
        """One upload of the `rate` a minute that a host may make, at most a minute's at once."""
        now, rate = self._clock(), self.limits.rate
        with self._counting:
            left, since = self._allowed.get(host, (float(rate), now))
            left = min(rate, left + (now - since) * rate / 60)
            fits = left >= 1
            self._allowed[host] = (left - fits, now)
        if not fits:
            raise Declined(HTTPStatus.TOO_MANY_REQUESTS, f"over {rate} uploads a minute")

    def _announced(self, head: Message) -> Announced:
        length, manifest = head.get("Content-Length", ""), head.get(SPLIT, "")
        if "Transfer-Encoding" in head or not (NUMBER.match(length) and NUMBER.match(manifest)):
            raise Declined(HTTPStatus.LENGTH_REQUIRED, f"Content-Length and {SPLIT} are needed")
        told = Announced(int(length), int(manifest), _sha256(head.get("Content-Digest", "")))
        if told.length > self.limits.body or told.manifest > MANIFEST_LIMIT:
            most = f"over {self.limits.body} bytes, or {MANIFEST_LIMIT} of manifest"
            raise Declined(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, most)
        if told.manifest > told.length:
            raise Declined(HTTPStatus.BAD_REQUEST, "the manifest is longer than the body")
        return told

    def _check(self, draft: Path, id: str, host: str) -> None:
        """What a reader of the store would refuse is not taken; nor is another host's episode."""
        try:
            with self._reading:
                manifest = parse((draft / MANIFEST).read_bytes(), id, MANIFEST)
                unpack(manifest, {SAMPLES: (draft / SAMPLES).read_bytes()}, id)
        except Refused as refused:
            raise Declined(HTTPStatus.UNPROCESSABLE_ENTITY, str(refused)) from refused
        if manifest.host != host:
            why = f"the episode is of host {manifest.host!r}, the token of {host!r}"
            raise Declined(HTTPStatus.FORBIDDEN, why)

    def _compare(self, id: str, sha256: str) -> None:
        """Raise Declined unless the published episode is the one that was sent."""
        folder, digest = self._store.folder(id), hashlib.sha256()
        for name in (MANIFEST, SAMPLES):
            digest.update((folder / name).read_bytes())
        if digest.hexdigest() != sha256:
            raise Declined(HTTPStatus.CONFLICT, f"{id} is there with other content")
        # Whoever published it may not have come to this yet, and it is about to be acknowledged.
        atomic.sync(folder.parent)


def _sha256(header: str) -> str:
    """The sha256 of a Content-Digest (RFC 9530), in hex."""
    _, _, rest = header.partition("sha-256=:")
    try:
        digest = base64.b64decode(rest.partition(":")[0], validate=True)
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise Declined(HTTPStatus.BAD_REQUEST, "Content-Digest with sha-256 is needed")
    return digest.hex()


def _stream(body: io.BufferedIOBase, draft: Path, announced: Announced) -> None:
    """Write manifest and samples into `draft`, hashing on the way. Raises Declined."""
    digest = hashlib.sha256()
    deadline = time.monotonic() + SILENCE_S + announced.length / SLOWEST
    parts = ((MANIFEST, announced.manifest), (SAMPLES, announced.length - announced.manifest))
    for name, size in parts:
        with (draft / name).open("wb") as file:
            while size:
                data = _read(body, min(size, _CHUNK), deadline)
                digest.update(data)
                file.write(data)
                size -= len(data)
    if digest.hexdigest() != announced.sha256:
        raise Declined(HTTPStatus.BAD_REQUEST, "the body is not what Content-Digest says")


def _read(body: io.BufferedIOBase, most: int, deadline: float) -> bytes:
    try:
        data = body.read1(most)
    except TimeoutError as error:
        raise Declined(HTTPStatus.REQUEST_TIMEOUT, f"silent for {SILENCE_S:g} s") from error
    if not data or time.monotonic() > deadline:
        why = "too slow" if data else "the body ended early"
        raise Declined(HTTPStatus.REQUEST_TIMEOUT, why)
    return data


# ---------------------------------------------------------------- over HTTP


def try_to_listen(host: str, port: int) -> None:
    """Raise Refused where a server could not listen."""
    try:
        with socket.socket(_family(host)) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except (OSError, UnicodeError) as error:
        raise Refused(
            f"{host}:{port}",
            getattr(error, "strerror", None) or str(error),
            "an address and port to listen at",
            "Choose others with --host and --port.",
            code="address",
        ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Server(ThreadingHTTPServer):
    """A receiver at an address; `say` is told one line an upload."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], receiver: Receiver, say: Say) -> None:
        self.address_family = _family(address[0])
        self.receiver = receiver
        self.say = say
        self._slots = threading.BoundedSemaphore(receiver.limits.slots)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread, while there are slots."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with contextlib.suppress(OSError):
            request.sendall(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """As it was, and the slot is free again."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A line is cut in the middle of something: the sender comes again."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "phasewatch"
    sys_version = ""
    timeout = SILENCE_S
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        try:
            taken = self.server.receiver.put(self.path, self.headers, self.rfile)
        except Declined as declined:
            self._decline(declined.status, str(declined), self.path)
        except OSError as error:
            self._fail("it could not be written", str(error))
        except Exception as error:
            self._fail("it could not be handled", f"{type(error).__name__}: {error}")
        else:
            told = {"id": taken.id, "sha256": taken.sha256}
            self._end(taken.status, told, f"{taken.id} of {taken.host}")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server declines by itself, as the rest is: first of all other methods."""
        status, place = HTTPStatus(code), self.requestline
        why = message or status.phrase
        if status == HTTPStatus.NOT_IMPLEMENTED:
            status, place = HTTPStatus.METHOD_NOT_ALLOWED, self.path
            why = f"{self.command} is not taken, PUT is"
        self._decline(status, why, place)

    def _fail(self, why: str, cause: str) -> None:
        self._decline(HTTPStatus.INTERNAL_SERVER_ERROR, why, self.path, " ".join(cause.split()))

    def _decline(self, status: HTTPStatus, why: str, place: str, cause: str = "") -> None:
        """Say no and hang up; `cause` is for the log alone."""
        self.close_connection = True
        self._end(status, {"error": why}, f"{place!r}: {cause or why}")
        self._drain()

    def _end(self, status: HTTPStatus, value: dict[str, str], line: str) -> None:
        """Answer, and tell the log, also of an answer that nobody waits for any more."""
        try:
            self._answer(status, value)
        finally:
            self.server.say(f"{status.value} {line}")

    def _answer(self, status: HTTPStatus, value: dict[str, str]) -> None:
        data = atomic.canonical(value)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.send_header("Retry-After", "1")
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "PUT")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _drain(self) -> None:
        """Take some of what is still coming, or the sender would be cut off before the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1.0)
        left = 1 << 20
        while left > 0 and (data := self.rfile.read1(_CHUNK)):
            left -= len(data)

    def log_message(self, format: str, *words: Any) -> None:
        """Say nothing of its own."""
