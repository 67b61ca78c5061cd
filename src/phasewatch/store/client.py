"""Sends episodes to a receiver, with retries, until it acknowledges the same bytes.

A lost connection, a truncated body, or a receiver that restarts or is busy only costs time, since
sending again is safe. The local copy stays until the acknowledged digest equals that of its bytes.
"""

import base64
import contextlib
import hashlib
import http.client
import ipaddress
import json
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from phasewatch.errors import Refused
from phasewatch.io import tls
from phasewatch.store.format import MANIFEST, SAMPLES
from phasewatch.store.local import Store, refuse_empty, refuse_unknown
from phasewatch.store.receiver import EPISODES_PATH, MANIFEST_BYTES_HEADER

TIMEOUT_S = 60.0
LONGEST_S = 30.0
FINAL = {401, 403, 404, 405, 409, 411, 413, 422}
"""Statuses that a retry would not change."""

EVERY = {401, 404, 405, 502, 503, 504, 507}
"""Statuses that every other episode would get, too."""


class ReceiverUnavailable(Refused):
    """The receiver takes no episode at all: the next one would be declined for the same reason."""


@dataclass
class Connection:
    """A connection to a receiver, opened when first needed and again after a fault.

    Each episode gets up to `tries` attempts, with random pauses whose limit doubles up to
    `LONGEST_S`, so that many senders do not retry at once. Over HTTPS it trusts the system's
    certificates, or those of the file `authority` alone. Raises Refused for an address that would
    show the token to others.
    """

    url: str
    token: str
    tries: int = 8
    sleep: Callable[[float], None] = time.sleep
    authority: Path | None = None
    _tls: ssl.SSLContext | None = field(default=None, init=False)
    _open: http.client.HTTPConnection | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Raise Refused for an unusable address, or one that would send the token unencrypted."""
        if "@" in self.url:
            remedy = "Leave that out: the token identifies the sender."
            # Not as it was given: a password would be shown.
            place = f"…@{self.url.rpartition('@')[2]}"
            raise _bad_address(place, "holds a user or a password", remedy)
        parts = _split(self.url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and _loopback(parts.hostname))
        if not safe or not parts.hostname:
            remedy = "Tunnel with `ssh -L`, or put a TLS proxy before the receiver."
            raise _bad_address(self.url, "is no address to ship to", remedy)
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            remedy = "Leave out what stands behind the host and port."
            raise _bad_address(self.url, "is more than an address to ship to", remedy)
        if parts.scheme == "https":
            self._tls = tls.client_context(self.authority)

    def send(self, id: str, manifest: bytes, samples: bytes) -> str:
        """Send an episode, and return its acknowledged sha256.

        Raises ReceiverUnavailable where the receiver takes no episode at all, and Refused where it
        does not take this one.
        """
        status, reason = 0, ""
        for attempt in range(self.tries):
            if attempt:
                self.sleep(random.uniform(0, min(LONGEST_S, 0.2 * 2**attempt)))
            try:
                status, response = self._put(id, manifest, samples)
            except (OSError, http.client.HTTPException) as error:
                status, reason = 0, f"{type(error).__name__}: {error}"
                self.close()
                continue
            sha256 = hashlib.sha256(manifest + samples).hexdigest()
            if status in (HTTPStatus.OK, HTTPStatus.CREATED) and response.get("sha256") == sha256:
                return sha256
            reason = f"{status} {response.get('error', 'acknowledges other bytes')}"
            if status in FINAL:
                raise self._refused(id, status, reason)
            self.close()
        raise self._refused(id, status, f"{reason}, {self.tries} times")

    def close(self) -> None:
        """Close the connection to the receiver, if it is open."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _refused(self, id: str, status: int, reason: str) -> Refused:
        """Return the refusal of an episode; `status` is 0 where no response came."""
        if status in EVERY or not (status or self._answers()):
            return ReceiverUnavailable(
                self.url,
                f"takes no episode ({reason})",
                "a receiver that answers and knows this host's token",
                "What it did not acknowledge is still here; ship it again when that is mended.",
                code="not_shipped",
            )
        return Refused(
            id,
            f"was not taken ({reason})",
            f"an acknowledgement of its bytes from {self.url}",
            "It is still here; ship it again when that is mended.",
            code="not_shipped",
        )

    def _answers(self) -> bool:
        """Return whether the receiver responds at all, even that it takes no GET."""
        try:
            connection = self._connected()
            connection.request("GET", EPISODES_PATH)
            connection.getresponse().close()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            self.close()
        return True

    def _put(self, id: str, manifest: bytes, samples: bytes) -> tuple[int, dict[str, object]]:
        """Send an episode once, and return the status and the JSON object of the response.

        Raises OSError or HTTPException where the connection fails.
        """
        body = manifest + samples
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        head = {
            "Authorization": f"Bearer {self.token}",
            "Content-Digest": f"sha-256=:{digest}:",
            MANIFEST_BYTES_HEADER: str(len(manifest)),
        }
        connection = self._connected()
        # A receiver that declines may close the connection early; its response can still be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("PUT", EPISODES_PATH + id, body, head)
        with connection.getresponse() as response:
            data = response.read(1 << 16)
            if response.will_close:
                self.close()
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        return response.status, value if isinstance(value, dict) else {}

    def _connected(self) -> http.client.HTTPConnection:
        """Return the open connection, opened when there is none. Raises OSError."""
        if self._open is None:
            parts = _split(self.url)
            host, port = parts.hostname or "", parts.port
            connection = (
                http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=self._tls)
                if self._tls
                else http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
            )
            connection.connect()
            self._open = connection
        return self._open


def _loopback(host: str | None) -> bool:
    """Return whether a host is this machine, by its name or address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult:
    """Return the parts of a URL. Raises Refused for one that cannot be connected to."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        usable = parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        usable = False
    if not usable:
        remedy = "Give the address that `phasewatch receive` printed."
        raise _bad_address(repr(url)[1:-1], "is no address to ship to", remedy)
    return parts


def _bad_address(where: str, problem: str, remedy: str) -> Refused:
    """Return the refusal of an address, which `where` shows without anything secret."""
    expected = "https://HOST[:PORT], or http:// on this machine"
    return Refused(where, problem, expected, remedy, code="address")


def read_token(path: Path) -> str:
    """Return the token in a file that holds nothing else. Raises Refused."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "is no text"
        raise Refused(path, problem, "this host's token", "Ask the receiver's operator.") from error
    words = len(token.split())
    if words != 1:
        problem = f"holds {words} words" if words else "holds no token"
        remedy = "Ask the receiver's operator."
        raise Refused(path, problem, "this host's token alone, on one line", remedy)
    return token


def selected_ids(store: Store, episode: str) -> list[str]:
    """Return the ids to ship: `episode`, or all for "". Raises Refused when the store lacks it."""
    ids = store.ids()
    refuse_empty(ids, store.root)
    if episode:
        refuse_unknown(episode, ids, "--episode")
    return [episode] if episode else ids


def ship(store: Store, id: str, connection: Connection, remove: bool) -> None:
    """Send one episode, byte for byte, and `remove` it from the store when it is acknowledged.

    Raises Refused, also for an episode that cannot be read here; OSError when the disk fails.
    """
    store.read(id)
    folder = store.folder(id)
    connection.send(id, (folder / MANIFEST).read_bytes(), (folder / SAMPLES).read_bytes())
    if remove:
        store.remove(id)
