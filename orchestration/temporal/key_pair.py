"""Certificates and keys as files or text: read, and checked before a connection fails by them without a word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


@dataclass(frozen=True)
class Source:
    """What was read: what a person calls it (a variable or setting, and its file), and its content."""

    named: str
    content: bytes


def read_source(source: tuple[str, Path | str | bytes | None]) -> Source | None:
    """Read a source by its name; None where none is given. Raises ValueError."""
    named, given = source
    if given is None:
        return None
    if not isinstance(given, Path):
        return Source(named, given.encode() if isinstance(given, str) else given)
    try:
        return Source(f"{named} ({given})", given.read_bytes())
    except OSError as error:
        raise ValueError(f"{named} names {given}, which cannot be read: {error.strerror}.") from None


def check_certificates(source: Source) -> list[x509.Certificate]:
    """Return the certificates of a source in PEM, the first of which is whose chain it is. Raises ValueError."""
    try:
        found = x509.load_pem_x509_certificates(source.content)
    except ValueError:
        found = []
    if not found:
        raise ValueError(f"{source.named} is no certificate in PEM.")
    return found


def check_pair(certificate: Source | None, key: Source | None) -> None:
    """Raise ValueError unless a certificate and a private key are given together, readable, and belong together."""
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        given, missing = (key, "certificate") if key is not None else (certificate, "private key")
        assert given is not None
        raise ValueError(f"{given.named} is set without its {missing}.")
    chain = check_certificates(certificate)
    try:
        private = load_pem_private_key(key.content, None)
    except TypeError:
        raise ValueError(f"{key.named} is encrypted: Temporal's client cannot ask for its passphrase.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{key.named} is no private key in PEM.") from None
    ours, theirs = (
        each.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for each in (chain[0].public_key(), private.public_key())
    )
    if ours != theirs:
        raise ValueError(f"{key.named} is not the key of {certificate.named}.")
