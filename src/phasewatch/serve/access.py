"""Who may ask: the token, the names that Host may have, and the headers of every answer."""

import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, Response

Asgi = Callable[[Any, Any, Any], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")


COOKIE = "phasewatch_token"


OPEN = ("/healthz",)
"""What is answered without a token."""


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
            return denied(421, f"this server is not called {host.hostname!r}; see --name")
        if access.token and request.url.path not in OPEN:
            asked = parse_qs(request.url.query).get("token", [""])[0]
            if asked and _same(asked, access.token):
                return _welcome(access.token)
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not any(
                _same(told, access.token) for told in (bearer, request.cookies.get(COOKIE, ""))
            ):
                return denied(401, "a token is asked for: open the address that serve printed")
        if request.method not in ("GET", "HEAD"):
            if not access.control:
                return denied(403, "control is off; serve with --allow-control")
            origin = urlsplit(request.headers.get("origin", ""))
            if origin.netloc != host.netloc:
                return denied(403, "asked from another page")
        return None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def denied(status: int, why: str) -> Response:
    """Return an answer that says why a request is refused."""
    return JSONResponse({"refused": why}, status)


def _welcome(token: str) -> Response:
    """The token moves from the address, which is seen and kept, to a cookie, which is not."""
    answer = Response(status_code=303, headers={"location": "/"})
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86400)
    return answer
