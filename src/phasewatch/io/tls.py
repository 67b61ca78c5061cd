"""The certificate with which a server speaks TLS."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from phasewatch.errors import Refused


@dataclass(frozen=True)
class Certificate:
    """A TLS certificate chain and its private key, both as PEM files."""

    cert: Path
    key: Path

    @classmethod
    def given(cls, cert: Path | None, key: Path | None) -> "Certificate | None":
        """Return the certificate of --tls-cert and --tls-key; None when neither is given.

        Raises Refused for one without the other, and for files that are not a certificate with its
        unencrypted key.
        """
        if cert is None and key is None:
            return None
        if cert is None or key is None:
            name, other = (
                ("--tls-key", "--tls-cert") if cert is None else ("--tls-cert", "--tls-key")
            )
            raise Refused(name, f"is given without {other}", "both or none", f"Give {other} too.")
        found = cls(cert, key)
        found.refuse_unusable()
        return found

    def refuse_unusable(self) -> None:
        """Raise Refused unless the two files make a server's TLS context."""

        def no_password() -> str:
            raise ValueError("the key is encrypted")

        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.cert, self.key, no_password)
        except (OSError, ValueError) as error:
            raise Refused(
                f"--tls-cert {self.cert} --tls-key {self.key}",
                str(error),
                "a certificate and its unencrypted private key, both PEM",
                "Give a pair that belongs together.",
                code="tls",
            ) from error
