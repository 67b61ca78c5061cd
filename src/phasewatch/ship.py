"""Sends episodes to a receiver, again and again, until its acknowledgement is of the same bytes.

A lost line, a torn body, a receiver that restarts or is busy only cost time: the receiver knows
what it has. The copy here stays until the acknowledged digest equals its own.
"""

import base64
import contextlib
import hashlib
import http.client
import ipaddress
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from phasewatch.receive import PLACE, SPLIT
from phasewatch.refusal import Refused
from phasewatch.store import MANIFEST, SAMPLES, Store

TIMEOUT_S = 60.0
LONGEST_S = 30.0
FINAL = {401, 403, 404, 409, 411, 413, 422}
"""Answers that another try would not change."""


@dataclass
class Line:
    """The way to a receiver, opened when first needed and again after a fault.

    `tries` an episode, with pauses that double up to `LONGEST_S`, drawn at random so that many
    senders do not come at once. Raises Refused for an address that would show the token to others.
    """

    url: str
    token: str
    tries: int = 8
    sleep: Callable[[float], None] = time.sleep
    _open: http.client.HTTPConnection | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Refuse an address that is none, or not safe."""
        parts = urlsplit(self.url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and _loopback(parts.hostname))
        if not safe or not parts.hostname or parts.path not in ("", "/"):
            raise Refused(
                self.url,
                "is no address to ship to",
                "https://HOST[:PORT], or http:// on this machine",
                "Tunnel with `ssh -L`, or put a TLS proxy before the receiver.",
                code="address",
            )

    def send(self, id: str, manifest: bytes, samples: bytes) -> str:
        """Send an episode; returns the acknowledged sha256, which is its own. Raises Refused."""
        why = ""
        for attempt in range(self.tries):
            if attempt:
                self.sleep(random.uniform(0, min(LONGEST_S, 0.2 * 2**attempt)))
            try:
                status, answer = self._put(id, manifest, samples)
            except (OSError, http.client.HTTPException) as error:
                why = f"{type(error).__name__}: {error}"
                self.close()
                continue
            own = hashlib.sha256(manifest + samples).hexdigest()
            if status in (HTTPStatus.OK, HTTPStatus.CREATED) and answer.get("sha256") == own:
                return own
            why = f"{status} {answer.get('error', 'acknowledges other bytes')}"
            if status in FINAL:
                raise _refused(id, self.url, why)
            self.close()
        raise _refused(id, self.url, f"{why}, {self.tries} times")

    def close(self) -> None:
        """Hang up."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _put(self, id: str, manifest: bytes, samples: bytes) -> tuple[int, dict[str, object]]:
        body = manifest + samples
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        head = {
            "Authorization": f"Bearer {self.token}",
            "Content-Digest": f"sha-256=:{digest}:",
            SPLIT: str(len(manifest)),
        }
        line = self._line()
        # A receiver that declines may hang up before the body is through; its answer is there.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            line.request("PUT", PLACE + id, body, head)
        with line.getresponse() as response:
            data = response.read(1 << 16)
            if response.will_close:
                self.close()
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        return response.status, answer if isinstance(answer, dict) else {}

    def _line(self) -> http.client.HTTPConnection:
        if self._open is None:
            parts = urlsplit(self.url)
            secure = parts.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            line = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
            line.connect()
            self._open = line
        return self._open


def _loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _refused(id: str, url: str, why: str) -> Refused:
    return Refused(
        id,
        f"was not taken ({why})",
        f"an acknowledgement of its bytes from {url}",
        "It is still here; ship it again when that is mended.",
        code="not_shipped",
    )


def token(path: Path) -> str:
    """The token on file; raises Refused."""
    try:
        told = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "is no text"
        raise Refused(path, problem, "this host's token", "Ask who runs the receiver.") from error
    if len(told.split()) != 1:
        remedy = "Ask who runs the receiver."
        raise Refused(path, "holds no token", "this host's, on one line", remedy)
    return told


def ship(store: Store, id: str, line: Line, remove: bool) -> None:
    """Send one episode as it lies in the store, and `remove` it when it is acknowledged.

    Raises Refused, also for an episode that cannot be read here; OSError when the disk fails.
    """
    store.read(id)
    folder = store.folder(id)
    line.send(id, (folder / MANIFEST).read_bytes(), (folder / SAMPLES).read_bytes())
    if remove:
        store.remove(id)
