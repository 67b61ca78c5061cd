"""Access control: the token, the names that Host may have, and headers of every response."""

import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, Response

Asgi = Callable[[Any, Any, Any], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")

COOKIE = "phasewatch_token"

OPEN = ("/healthz",)
"""Paths that need no token."""

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


@dataclass(frozen=True)
class Access:
    """What a request must have: `names` for Host, and the `token` (none is needed when empty).

    `control` is whether requests may change anything.
    """

    names: tuple[str, ...] = LOOPBACK
    token: str = ""
    control: bool = False

    @classmethod
    def at(cls, address: str, names: Sequence[str], token: str, control: bool) -> "Access":
        """Return the access of a server bound to `address`; beyond loopback there is a token.

        `names` are further names of the server; an empty `token` is drawn at random when needed.
        """
        if address in LOOPBACK:
            return cls((*LOOPBACK, *names), token, control)
        known = (*LOOPBACK, address, socket.gethostname(), *names)
        return cls(known, token or secrets.token_urlsafe(24), control)


class Guard:
    """ASGI middleware that checks Host, token and Origin, and adds the security headers."""

    def __init__(self, app: Asgi, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond to a request that is refused, and pass on the others (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(key.encode(), value.encode()) for key, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        response = self._refusal(request)
        await (response or self._app)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        """Return why a request is refused, or where its token takes it; None when it may pass."""
        host = _split(f"//{request.headers.get('host', '')}")
        if host.hostname not in self._access.names:
            return denied(421, f"this server is not called {host.hostname!r}; see --name")
        token = self._access.token
        if token and request.url.path not in OPEN:
            given = parse_qs(request.url.query).get("token", [""])[0]
            if given and _same(given, token):
                return _welcome(token, request.url.scheme == "https")
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            cookie = request.cookies.get(COOKIE, "")
            if not any(_same(given, token) for given in (bearer, cookie)):
                return denied(401, "needs a token: open the address that serve printed")
        return self._refused_change(request, host.netloc)

    def _refused_change(self, request: Request, host: str) -> Response | None:
        """Return why a request that changes something is refused; None when it may pass."""
        if request.method in ("GET", "HEAD"):
            return None
        if not self._access.control:
            return denied(403, "control is off; serve with --allow-control")
        if _split(request.headers.get("origin", "")).netloc != host:
            return denied(403, "was sent by another page")
        return None


def _split(url: str) -> SplitResult:
    """Return the parts of a URL that a sender gave; empty ones where it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _same(one: str, other: str) -> bool:
    """Return whether two secrets are equal, in the same time wherever they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def denied(status: int, reason: str) -> Response:
    """Return a response that gives the reason for which a request is refused."""
    return JSONResponse({"refused": reason}, status)


def _welcome(token: str, secure: bool) -> Response:
    """Move the token from the address, which browsers show and remember, to a cookie, which is not.

    Over TLS the cookie is `secure`: a browser never sends it in the clear.
    """
    response = Response(status_code=303, headers={"location": "/"})
    response.set_cookie(
        COOKIE, token, httponly=True, samesite="strict", secure=secure, max_age=30 * 86400
    )
    return response
