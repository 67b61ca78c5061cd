"""An address keeps the token secret, and a token file is one line."""

from pathlib import Path

import pytest

from phasewatch.errors import Refused
from phasewatch.io.link import Link, content_digest, read_token


@pytest.mark.parametrize(
    "url",
    [
        *("", "host", "ftp://localhost", "http://example.org", "http://10.0.0.1:80", "http://"),
        *("http://127.0.0.1:99999", "http://127.0.0.1:abc", "http://localhost:-1", "http://[::1/"),
        *("http://localhost:0", "https://a..b", "https://a b", "https://a\n"),
    ],
)
def test_a_token_is_not_sent_in_the_clear_to_another_machine(url: str) -> None:
    with pytest.raises(Refused, match="is no address to send to"):
        Link(url, "t")


@pytest.mark.parametrize("more", ["?x=1", "#x", "/v1", "/?x"])
def test_an_address_ends_with_its_port(more: str) -> None:
    with pytest.raises(Refused, match="is more than an address"):
        Link(f"http://localhost:8471{more}", "t")


@pytest.mark.parametrize("user", ["http://user:pw", "user:pw", "http://user:p@pw", "http://u:/pw"])
def test_a_password_in_an_address_is_refused_and_not_printed(user: str) -> None:
    with pytest.raises(Refused, match="…@localhost:8471: holds a user or a password") as refused:
        Link(f"{user}@localhost:8471", "t")
    assert "pw" not in str(refused.value)


def test_a_token_file_is_one_line(tmp_path: Path) -> None:
    for text, problem in (("", "no token"), ("two words", "2 words"), ("two\nlines", "2 words")):
        (tmp_path / "t").write_text(text)
        with pytest.raises(Refused, match=f"holds {problem}; expected this host's token alone"):
            read_token(tmp_path / "t")
    with pytest.raises(Refused, match="No such file"):
        read_token(tmp_path / "absent")


def test_a_token_is_not_shown_and_a_digest_is_that_of_the_body() -> None:
    assert "secret" not in repr(Link("http://localhost", "secret"))
    # printf abc | openssl sha256 -binary | base64
    digest = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    assert content_digest(b"abc") == {"Content-Digest": f"sha-256=:{digest}:"}
