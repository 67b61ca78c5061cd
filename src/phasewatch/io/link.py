"""A connection to a receiver: an address that keeps the token secret, TLS, and PUT requests."""

import base64
import contextlib
import hashlib
import http.client
import ipaddress
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from phasewatch.errors import Refused
from phasewatch.io import tls

TIMEOUT_S = 60.0

SAMPLES_PATH = "/v1/samples/"
"""Where batches of samples are put, before the name of their stream."""

AFTER_HEADER = "Phasewatch-After"
"""The header that says up to which offset the sender knows its lines to be acknowledged."""

OFFSET_HEADER = "Phasewatch-Offset"
"""The header that says at which offset the body begins: beyond the other where lines are lost."""

BATCH_BYTES = 1 << 20
"""The most bytes of lines in one batch."""


@dataclass
class Link:
    """A connection to a receiver at `url`, opened when first needed and again after a fault.

    Over HTTPS it trusts the system's certificates, or those of the file `authority` alone. Raises
    Refused for an address that would show the token to others.
    """

    url: str
    token: str = field(repr=False)
    authority: Path | None = field(default=None, kw_only=True)
    _tls: ssl.SSLContext | None = field(default=None, init=False, repr=False)
    _open: http.client.HTTPConnection | None = field(default=None, init=False, repr=False)

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
            raise _bad_address(self.url, "is no address to send to", remedy)
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            remedy = "Leave out what stands behind the host and port."
            raise _bad_address(self.url, "is more than an address to send to", remedy)
        if parts.scheme == "https":
            self._tls = tls.client_context(self.authority)

    def put(self, path: str, body: bytes, head: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        """Send a body once, and return the status and the JSON object of the response.

        Raises OSError or HTTPException where the connection fails.
        """
        connection = self.connected()
        fields = {"Authorization": f"Bearer {self.token}", **head}
        # A receiver that declines may close the connection early; its response can still be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("PUT", path, body, fields)
        with connection.getresponse() as response:
            data = response.read(1 << 16)
            if response.will_close:
                self.close()
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        return response.status, value if isinstance(value, dict) else {}

    def close(self) -> None:
        """Close the connection to the receiver, if it is open."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def connected(self) -> http.client.HTTPConnection:
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


def content_digest(body: bytes) -> dict[str, str]:
    """Return the header with the sha256 of a body (RFC 9530)."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return {"Content-Digest": f"sha-256=:{digest}:"}


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
        raise _bad_address(repr(url)[1:-1], "is no address to send to", remedy)
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
