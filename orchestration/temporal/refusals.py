"""What it means when Temporal, or a proxy before it, does not let a client in, in words that say what to set."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

HTTP_STATUS = re.compile(r"with status: (\d{3} [A-Za-z -]+?)(?=[\"',.]|$)")
"""What a proxy answers instead of Temporal, in an error of the SDK."""

LONGEST = 300
"""Characters of an error: the SDK appends all headers of an answer to it."""


class Credentials(Protocol):
    """What a client shows to be let in."""

    @property
    def address(self) -> str:
        """Where it asks, as host:port."""

    @property
    def api_key(self) -> str:
        """Empty where it has none."""

    @property
    def has_tls(self) -> bool:
        """Whether it speaks TLS."""

    @property
    def has_certificate(self) -> bool:
        """Whether it shows a certificate of its own."""


@dataclass(frozen=True)
class _Refusal:
    """Words of an error that all of its kind have, and the sentence for it."""

    words: re.Pattern[str]
    sentence: Callable[[Credentials], str]
    applies: Callable[[Credentials], bool] = lambda _: True


def _unknown_client(client: Credentials) -> str:
    if client.has_certificate:
        return f"Temporal at {client.address} refuses the client certificate (TEMPORAL_TLS_CLIENT_CERT_…)"
    return (
        f"Temporal at {client.address} refuses a client without a certificate: set TEMPORAL_TLS_CLIENT_CERT_PATH and "
        "TEMPORAL_TLS_CLIENT_KEY_PATH"
    )


def _unauthorized(client: Credentials) -> str:
    if client.api_key:
        return f"Temporal at {client.address} refuses the API key (TEMPORAL_API_KEY, TEMPORAL_API_KEY_FILE)"
    if client.has_certificate:
        return f"Temporal at {client.address} gives the client certificate no access to this namespace"
    return f"Temporal at {client.address} refuses a client without credentials: set TEMPORAL_API_KEY or a certificate"


REFUSALS = (
    _Refusal(
        re.compile(r"InvalidCertificate\((UnknownIssuer|CaUsedAsEndEntity|Other)"),
        lambda client: (
            f"The certificate of Temporal at {client.address} is of no authority that is trusted here: name it with "
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH, or in SSL_CERT_FILE"
        ),
    ),
    _Refusal(
        re.compile(r"InvalidCertificate\(NotValidForName"),
        lambda client: (
            f"The certificate of Temporal at {client.address} is for another name: TEMPORAL_TLS_SERVER_NAME says which"
        ),
    ),
    _Refusal(
        re.compile(r"InvalidCertificate\("),
        lambda client: f"The certificate of Temporal at {client.address} is not valid, or has expired",
    ),
    _Refusal(re.compile(r"(?i)code: Unauthenticated|code: PermissionDenied|status: 40[13] "), _unauthorized),
    _Refusal(
        re.compile(r"(?i)received fatal alert|AlertReceived|status: 400 |status: 49[56] "),
        _unknown_client,
        lambda client: client.has_tls,
    ),
    _Refusal(
        re.compile(r"InvalidContentType|InvalidMessage|corrupt message"),
        lambda client: f"Temporal at {client.address} does not speak TLS: TEMPORAL_TLS, or the profile's, is on",
        lambda client: client.has_tls,
    ),
    _Refusal(
        re.compile(r"FRAME_SIZE_ERROR|status: 400 "),
        lambda client: f"Temporal at {client.address} expects TLS: set TEMPORAL_TLS=true",
        lambda client: not client.has_tls,
    ),
)


def refusal_of(error: BaseException | None, client: Credentials) -> str | None:
    """Return why a client was not let in and what to set, without a full stop; None for any other error."""
    text = str(error or "")
    found = (each for each in REFUSALS if each.words.search(text) and each.applies(client))
    refusal = next(found, None)
    return None if refusal is None else refusal.sentence(client)


def brief(error: BaseException) -> str:
    """Return an error of a connection for a log: a proxy's status, or the beginning of what the SDK says."""
    text = str(error) or type(error).__name__
    status = HTTP_STATUS.search(text)
    return status.group(1) if status else text[:LONGEST]
