"""Receives uploads into a store: authorised, limited in size and rate, and checked first.

Sending an upload again is safe: the same bytes under the same id are acknowledged again, other
bytes are refused. A refused, truncated or killed upload leaves nothing in the store.
`docs/reference/store-format.md` has the protocol, `docs/decisions/0014-receiver.md` the reasons.
"""

import base64
import errno
import hashlib
import hmac
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Protocol, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, RootModel, model_validator

from phasewatch.episode import ID
from phasewatch.errors import Refused
from phasewatch.io import atomic, fields
from phasewatch.io.lock import locked
from phasewatch.store.format import HEADER, MANIFEST, SAMPLES, decode_episode, parse_manifest
from phasewatch.store.local import Store

EPISODES_PATH = "/v1/episodes/"
MANIFEST_BYTES_HEADER = "Phasewatch-Manifest-Bytes"
"""The header that says where in the body the manifest ends and the samples begin."""

INCOMING = "incoming"
MAX_MANIFEST_BYTES = 1 << 20
MIN_TOKEN_LENGTH = 32
NUMBER = re.compile(r"[0-9]{1,18}\Z")
SENDABLE = re.compile(r"[!-~]*\Z")
"""The characters of a token, which must fit into a header field."""

SILENCE_S = 30.0
MIN_BYTES_PER_S = 1024
"""Bytes per second below which an upload is aborted, after the first `SILENCE_S`."""

_CHUNK = 1 << 16


class Head(Protocol):
    """The header fields of an upload, by name in any case."""

    def get(self, name: str, default: str, /) -> Any: ...
    def __contains__(self, name: Any, /) -> bool: ...


class Body(Protocol):
    """The body of an upload, read as it arrives."""

    def read1(self, most: int, /) -> bytes:
        """Return the next bytes, at least one and at most `most`; none at the end.

        Raises TimeoutError when nothing comes for `SILENCE_S`.
        """
        ...


@dataclass(frozen=True)
class Limits:
    """The limits of a receiver.

    `body` bytes per episode, `rate` uploads per minute and host, `reserve` bytes that stay free on
    the disk, `slots` connections at once.
    """

    body: int = 64 << 20
    rate: int = 600
    reserve: int = 1 << 30
    slots: int = 32


class Declined(Exception):
    """An upload that is not taken: the HTTP status, and the reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        self.status = status
        super().__init__(reason)


@dataclass(frozen=True)
class Receipt:
    """The acknowledgement of an episode on the disk, with the `sha256` of the upload's body."""

    status: HTTPStatus
    id: str
    host: str
    sha256: str


@dataclass(frozen=True)
class Announcement:
    """The announced size of a body in bytes, that of the manifest in it, and its sha256."""

    length: int
    manifest: int
    sha256: str


def _check_host(host: str) -> str:
    """Return the name of a host, which must not be blank."""
    if not host.strip():
        raise fields.wrong("gives a token to a host without a name", "the host's name before it")
    return host


def _check_token(token: object) -> object:
    """Return a token, which must be sendable and long enough; no message shows it."""
    if not isinstance(token, str):
        raise fields.wrong("is no string", "a token in quotes")
    if not SENDABLE.match(token):
        problem = "holds blanks or characters beyond ASCII, which cannot be sent"
        raise fields.wrong(problem, "letters and digits")
    if len(token) < MIN_TOKEN_LENGTH:
        raise fields.wrong("is weak", f"{MIN_TOKEN_LENGTH} characters or more")
    return token


class _Tokens(RootModel[dict[str, str]]):
    """The content of a token file: a different token for each host."""

    model_config = ConfigDict(frozen=True, strict=True)
    root: dict[
        Annotated[str, AfterValidator(_check_host)], Annotated[str, BeforeValidator(_check_token)]
    ]

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if not self.root:
            raise fields.wrong("holds no token", "one a host")
        if len({*self.root.values()}) < len(self.root):
            raise fields.wrong("gives one token to two hosts", "one of its own for each")
        return self


def read_tokens(path: Path) -> dict[str, str]:
    """Return hosts by the sha256 of their token, from a TOML file of `host = "token"`.

    Raises Refused, also for a file that others than its owner may read.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _wrong_token(path, error.strerror or str(error), "a token file") from error
    if stat.S_ISDIR(mode):
        raise _wrong_token(path, "is a folder", "a token file")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _wrong_token(path, "can be read by others", "a file for its owner alone: chmod 600")
    value = fields.read_toml(path, 'lines of host = "token"', "tokens")
    found = fields.validate(_Tokens, value, path, remedy=_MAKE_TOKEN, code="tokens")
    return {hashlib.sha256(token.encode()).hexdigest(): host for host, token in found.root.items()}


_MAKE_TOKEN = "`openssl rand -hex 32` makes a token."


def _wrong_token(where: object, problem: str, expected: str) -> Refused:
    """Return the refusal of tokens that cannot be used."""
    return Refused(where, problem, expected, _MAKE_TOKEN, code="tokens")


def refuse_other_files(root: Path) -> None:
    """Raise Refused unless `root` is a store, absent or empty."""
    atomic.refuse_url(root)
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return
    # A receiver that was killed while it created the store may have left a draft.
    if HEADER not in names and not all(name.startswith(atomic.DRAFT_PREFIX) for name in names):
        raise Refused(
            root,
            "holds files and is no episode store",
            "an episode store, or a folder that is new or empty",
            "Give another folder with --store.",
            code="store_missing",
        )


class Receiver:
    """Puts uploads into a store. Use it in a `with`, in which it locks the store for receiving.

    `hosts` maps the sha256 of a token to the name of a host. Raises Refused when there is none, or
    when another receiver holds the lock.
    """

    def __init__(
        self,
        store: Store,
        hosts: Mapping[str, str],
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not hosts:
            raise _wrong_token("receiver", "has no tokens", "one a host")
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
        words = ("another receiver is at work", "one a store", "End it, or use that one.")
        self._lock = locked(self._incoming / "lock", store.root, words)
        for left in self._incoming.glob(f"{atomic.DRAFT_PREFIX}*"):
            shutil.rmtree(left)

    def __enter__(self) -> "Receiver":
        """Return the receiver, which holds the lock already."""
        return self

    def __exit__(self, *error: object) -> None:
        """Release the lock, so that another receiver can work on the store."""
        self._lock.close()

    def put(self, path: str, head: Head, body: Body) -> Receipt:
        """Store one upload, which is on the disk when this returns. Raises Declined, or OSError."""
        host = self.sender(head)
        id = path.removeprefix(EPISODES_PATH)
        if id == path or not ID.fullmatch(id):
            raise Declined(HTTPStatus.NOT_FOUND, f"not {EPISODES_PATH} and an episode's id")
        announced = self._announced(head)
        self.refuse_full(announced.length)
        try:
            with atomic.new_folder(self._store.folder(id), self._incoming) as draft:
                _stream(body, draft, announced)
                self._check(draft, id, host)
        except FileExistsError:
            self._compare(id, announced.sha256)
            return Receipt(HTTPStatus.OK, id, host, announced.sha256)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Declined(HTTPStatus.INSUFFICIENT_STORAGE, "the disk is full") from error
            raise
        return Receipt(HTTPStatus.CREATED, id, host, announced.sha256)

    def sender(self, head: Head) -> str:
        """Return the host that sends, and count it against its rate. Raises Declined."""
        host = self._host(head.get("Authorization", ""))
        self._count(host)
        return host

    def refuse_full(self, length: int) -> None:
        """Raise Declined where a body of `length` bytes leaves too little of the disk."""
        if shutil.disk_usage(self._store.root).free - length < self.limits.reserve:
            raise Declined(HTTPStatus.INSUFFICIENT_STORAGE, "the disk is nearly full")

    def _host(self, authorization: str) -> str:
        """Return the host whose token it is, compared in constant time. Raises Declined."""
        token = authorization.removeprefix("Bearer ")
        sha256 = hashlib.sha256(token.encode()).hexdigest()
        found = [host for known, host in self._hosts.items() if hmac.compare_digest(known, sha256)]
        if not found or token == authorization:
            raise Declined(HTTPStatus.UNAUTHORIZED, "no host has this token")
        return found[0]

    def _count(self, host: str) -> None:
        """Count one upload of a host against its rate, a token bucket. Raises Declined."""
        now, rate = self._clock(), self.limits.rate
        with self._counting:
            left, since = self._allowed.get(host, (float(rate), now))
            left = min(rate, left + (now - since) * rate / 60)
            fits = left >= 1
            self._allowed[host] = (left - fits, now)
        if not fits:
            raise Declined(HTTPStatus.TOO_MANY_REQUESTS, f"over {rate} uploads a minute")

    def _announced(self, head: Head) -> Announcement:
        """Return what the header fields announce. Raises Declined where they are wrong."""
        length, manifest = head.get("Content-Length", ""), head.get(MANIFEST_BYTES_HEADER, "")
        if "Transfer-Encoding" in head or not (NUMBER.match(length) and NUMBER.match(manifest)):
            raise Declined(
                HTTPStatus.LENGTH_REQUIRED, f"Content-Length and {MANIFEST_BYTES_HEADER} are needed"
            )
        sha256 = digest_of(head)
        announced = Announcement(int(length), int(manifest), sha256)
        if announced.length > self.limits.body or announced.manifest > MAX_MANIFEST_BYTES:
            most = f"over {self.limits.body} bytes, or {MAX_MANIFEST_BYTES} of manifest"
            raise Declined(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, most)
        if announced.manifest > announced.length:
            raise Declined(HTTPStatus.BAD_REQUEST, "the manifest is longer than the body")
        return announced

    def _check(self, draft: Path, id: str, host: str) -> None:
        """Raise Declined for what a reader of the store would refuse, or another host's episode."""
        try:
            with self._reading:
                manifest = parse_manifest((draft / MANIFEST).read_bytes(), id, MANIFEST)
                decode_episode(manifest, {SAMPLES: (draft / SAMPLES).read_bytes()}, id)
        except Refused as refused:
            raise Declined(HTTPStatus.UNPROCESSABLE_ENTITY, str(refused)) from refused
        if manifest.host != host:
            reason = f"the episode is of host {manifest.host!r}, the token of {host!r}"
            raise Declined(HTTPStatus.FORBIDDEN, reason)

    def _compare(self, id: str, sha256: str) -> None:
        """Raise Declined unless the published episode is the one that was sent."""
        folder, digest = self._store.folder(id), hashlib.sha256()
        for name in (MANIFEST, SAMPLES):
            digest.update((folder / name).read_bytes())
        if digest.hexdigest() != sha256:
            raise Declined(HTTPStatus.CONFLICT, f"{id} is there with other content")
        # The upload that published it may not have flushed the folder yet.
        atomic.sync(folder.parent)


def digest_of(head: Head) -> str:
    """Return the sha256 of a Content-Digest (RFC 9530), in hex. Raises Declined without one."""
    _, _, rest = head.get("Content-Digest", "").partition("sha-256=:")
    try:
        digest = base64.b64decode(rest.partition(":")[0], validate=True)
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise Declined(HTTPStatus.BAD_REQUEST, "Content-Digest with sha-256 is needed")
    return digest.hex()


def _stream(body: Body, draft: Path, announced: Announcement) -> None:
    """Write manifest and samples into `draft`, hashing on the way. Raises Declined."""
    digest = hashlib.sha256()
    deadline = time.monotonic() + SILENCE_S + announced.length / MIN_BYTES_PER_S
    parts = ((MANIFEST, announced.manifest), (SAMPLES, announced.length - announced.manifest))
    for name, size in parts:
        with (draft / name).open("wb") as file:
            while size:
                data = read(body, min(size, _CHUNK), deadline)
                digest.update(data)
                file.write(data)
                size -= len(data)
    if digest.hexdigest() != announced.sha256:
        raise Declined(HTTPStatus.BAD_REQUEST, "the body is not what Content-Digest says")


def read(body: Body, most: int, deadline: float) -> bytes:
    """Return the next bytes of a body. Raises Declined where it is silent, slow or cut short."""
    try:
        data = body.read1(most)
    except TimeoutError as error:
        raise Declined(HTTPStatus.REQUEST_TIMEOUT, f"silent for {SILENCE_S:g} s") from error
    if not data or time.monotonic() > deadline:
        reason = "too slow" if data else "the body ended early"
        raise Declined(HTTPStatus.REQUEST_TIMEOUT, reason)
    return data
