"""Access control: Host, token, Origin, and what TLS changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.certificates import self_signed
from tests.served import Served, serving

from phasewatch.serve.access import HEADERS, Access
from phasewatch.serve.events import ProducerContext


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(ProducerContext(None, None), Access(control=True)) as one:
        yield one


def test_foreign_host_names_and_origins_are_refused(served: Served) -> None:
    assert served.ask("/", host="evil.example")[0] == 421
    assert served.ask("/", host="[")[0] == 421
    body = {"op": "pause"}
    assert served.ask("/api/transport", "POST", body, origin="http://[")[0] == 403
    assert served.ask("/api/transport", "POST", body)[0] == 403
    assert served.ask("/api/transport", "POST", body, origin="http://evil.example")[0] == 403
    # A request from this server's page gets as far as the transport, which has nothing to pause.
    assert served.turn("pause") == 422


def test_every_response_has_the_security_headers(served: Served) -> None:
    for path in ("/", "/nothing", "/metrics", "/api/producers"):
        headers = served.ask(path)[1]
        assert {name: headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_without_allow_control_the_clock_cannot_be_moved() -> None:
    with serving(ProducerContext(None, None), Access()) as one:
        assert one.turn("pause") == 403


def test_a_token_is_required_beyond_loopback() -> None:
    access = Access.at("0.0.0.0", ["wall.example"], "", False)
    assert len(access.token) > 20 and "wall.example" in access.names
    assert Access.at("0.0.0.0", [], "mine", False).token == "mine"
    assert Access.at("127.0.0.1", [], "", False).token == ""


def test_a_token_in_the_address_becomes_a_cookie() -> None:
    with serving(ProducerContext(None, None), Access(token="secret")) as one:
        assert one.ask("/")[0] == 401
        assert one.ask("/api/events")[0] == 401
        assert one.ask("/?token=wrong")[0] == 401
        assert one.ask("/healthz")[0] == 200
        status, headers, _ = one.ask("/?token=secret")
        assert status == 303 and headers["location"] == "/"
        attributes = headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=strict"} <= set(attributes) and "Secure" not in attributes
        assert one.ask("/", cookie=attributes[0])[0] == 200
        assert one.ask("/", cookie="phasewatch_token=wrong")[0] == 401
        assert one.ask("/metrics", authorization="Bearer secret")[0] == 200


def test_over_tls_the_cookie_is_secure(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with serving(ProducerContext(None, None), Access(token="secret"), certificate) as one:
        status, headers, _ = one.ask("/?token=secret")
        assert status == 303
        attributes = headers["set-cookie"].split("; ")
        assert "Secure" in attributes
        assert one.ask("/", cookie=attributes[0])[0] == 200
