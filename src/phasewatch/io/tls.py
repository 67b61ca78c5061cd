"""Certificates for servers and clients that speak TLS."""

import ssl
from pathlib import Path

from phasewatch.errors import Refused

Certificate = tuple[Path, Path]
"""Files of a certificate chain and of its private key, in PEM."""


def server_files(certificate: Path | None, key: Path | None) -> Certificate | None:
    """Return the certificate and the private key of a server, in PEM; None where none is given.

    Raises Refused where only one of them is given, or they cannot be used.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        option = "--tls-cert" if certificate is None else "--tls-key"
        expected = "a certificate and its private key, in PEM"
        raise Refused(option, "is missing", expected, "Give both, or neither.", code="tls")
    for path in (certificate, key):
        _refuse_unreadable(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise Refused(
            f"--tls-cert {certificate}, --tls-key {key}",
            f"cannot be used together ({_reason(error)})",
            "a certificate and its private key, in PEM and without a password",
            "`openssl req -x509 -newkey ed25519 -nodes` makes a pair.",
            code="tls",
        ) from error
    return certificate, key


def client_context(authority: Path | None) -> ssl.SSLContext:
    """Return the TLS context of a client, which trusts the system's authorities or `authority`.

    `authority` is a file of certificates in PEM. Raises Refused where it cannot be used.
    """
    if authority is None:
        return ssl.create_default_context()
    _refuse_unreadable(authority)
    try:
        return ssl.create_default_context(cafile=str(authority))
    except (OSError, ValueError) as error:
        problem = f"holds no certificate ({_reason(error)})"
        remedy = "Get the certificate from the operator of the server."
        raise Refused(authority, problem, "certificates in PEM", remedy, code="tls") from error


def _refuse_unreadable(path: Path) -> None:
    """Raise Refused for a file that cannot be opened."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        problem = error.strerror or str(error)
        raise Refused(path, problem, "a file in PEM", "Check the path.", code="tls") from error


def _reason(error: OSError | ValueError) -> str:
    """Return the reason that OpenSSL gives, or else the text or the type of an error."""
    return getattr(error, "reason", None) or str(error) or type(error).__name__
