"""A certificate that cannot be used is refused before anything listens or is sent."""

import ssl
from pathlib import Path

import pytest
from tests.certificates import self_signed

from phasewatch.errors import Refused
from phasewatch.io import tls


def test_certificate_and_key_must_be_given_together(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    assert tls.server_files(None, None) is None
    assert tls.server_files(certificate, key) == (certificate, key)
    with pytest.raises(Refused, match=r"^--tls-key: is missing"):
        tls.server_files(certificate, None)
    with pytest.raises(Refused, match=r"^--tls-cert: is missing"):
        tls.server_files(None, key)


def test_unusable_certificates_are_refused(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path / "one")
    _, other = self_signed(tmp_path / "other")
    for first, second, problem in (
        (tmp_path / "absent", key, "absent: No such file"),
        (certificate, tmp_path / "absent", "absent: No such file"),
        (certificate, other, "cannot be used together"),
        (key, certificate, "cannot be used together"),
    ):
        with pytest.raises(Refused, match=problem):
            tls.server_files(first, second)


def test_a_client_trusts_only_the_given_authority(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = tls.client_context(certificate)
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    assert len(context.get_ca_certs()) == 1
    for path, problem in ((key, "holds no certificate"), (tmp_path / "absent", "No such file")):
        with pytest.raises(Refused, match=problem):
            tls.client_context(path)
