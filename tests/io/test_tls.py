"""A certificate comes with its key or not at all, and a pair that does not fit is refused."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from tests.certificates import self_signed

from phasewatch.errors import Refused
from phasewatch.io.tls import Certificate


def test_neither_is_no_certificate() -> None:
    assert Certificate.given(None, None) is None


def test_one_without_the_other_is_refused_by_its_name(tmp_path: Path) -> None:
    made = self_signed(tmp_path)
    with pytest.raises(Refused, match="--tls-cert: is given without --tls-key"):
        Certificate.given(made.cert, None)
    with pytest.raises(Refused, match="--tls-key: is given without --tls-cert"):
        Certificate.given(None, made.key)


def test_a_pair_is_taken(tmp_path: Path) -> None:
    made = self_signed(tmp_path)
    assert Certificate.given(made.cert, made.key) == made


def test_files_that_are_no_pair_are_refused(tmp_path: Path) -> None:
    for name in ("one", "other", "locked"):
        (tmp_path / name).mkdir()
    one, other = self_signed(tmp_path / "one"), self_signed(tmp_path / "other")
    locked = self_signed(tmp_path / "locked", BestAvailableEncryption(b"password"))
    (tmp_path / "text").write_text("no key\n")
    for cert, key in (
        (one.cert, other.key),
        (one.cert, tmp_path / "text"),
        (tmp_path / "text", one.key),
        (one.cert, tmp_path / "absent"),
    ):
        with pytest.raises(Refused, match="its unencrypted private key") as refused:
            Certificate.given(cert, key)
        assert refused.value.code == "tls" and str(cert) in str(refused.value)
    with pytest.raises(Refused, match="the key is encrypted"):
        Certificate.given(locked.cert, locked.key)
