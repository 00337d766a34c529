"""Which certificate authorities the HTTP clients of a process trust."""

from __future__ import annotations

import os
import ssl
from functools import cache

import certifi

CERTIFICATES = "SSL_CERT_FILE"
FOLDER = "SSL_CERT_DIR"


class InvalidAuthorities(ValueError):
    """The certificate authorities that the environment names cannot be used; the message says why."""


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS settings that all clients share: making them takes 23 ms of CPU. Raises InvalidAuthorities.

    SSL_CERT_FILE and SSL_CERT_DIR name all authorities that are trusted, as they do for OpenSSL, Go and Rust. Without
    them it is the system's, where a company adds its own, and certifi's. They are read once.
    """
    file, folder = os.environ.get(CERTIFICATES) or None, os.environ.get(FOLDER) or None
    if not file and not folder:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        return context
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:  # ssl.SSLError, too
        reason = error.strerror if error.errno and not isinstance(error, ssl.SSLError) else "no certificate in PEM"
        name = f"{CERTIFICATES} names {file}" if file else f"{FOLDER} names {folder}"
        raise InvalidAuthorities(f"{name}, which cannot be used: {reason}.") from None


def authorities_file() -> str | None:
    """Return the file or folder of the same authorities, for a client that takes no context; None for its own."""
    given = os.environ.get(CERTIFICATES) or os.environ.get(FOLDER)
    return given or ssl.get_default_verify_paths().cafile


def is_untrusted(error: BaseException) -> bool:
    """Whether a connection failed because its certificate is of no authority that this process trusts."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
