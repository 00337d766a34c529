"""What the SDK says when a client is not let in becomes a sentence that says what to set."""

from __future__ import annotations

import pytest
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from orchestration.temporal.connection import Connection, TemporalUnavailable, is_away, let_in
from orchestration.temporal.refusals import brief, refusal_of

PROXY = (
    "Failed client connect: `get_system_info` call error after connection: Status {{ code: Internal, message: "
    '"protocol error: received message with invalid compression flag: 60 (valid flags are 0 and 1) while receiving '
    'response with status: {}", metadata: MetadataMap {{ headers: {{"server": "nginx"}} }} }}'
)
TLS = "Failed client connect: Server connection error: tonic::transport::Error(Transport, ConnectError({}))"
PLAIN = Connection("t:1")
ENCRYPTED = Connection("t:1", tls=True)
WITH_KEY = Connection("t:1", api_key="key")
WITH_CERTIFICATE = Connection("t:1", tls=TLSConfig(client_cert=b"c", client_private_key=b"k"))


@pytest.mark.parametrize(
    ("error", "connection", "words"),
    [
        (PROXY.format("400 Bad Request"), WITH_CERTIFICATE, "refuses the client certificate"),
        (PROXY.format("400 Bad Request"), ENCRYPTED, "set TEMPORAL_TLS_CLIENT_CERT_PATH"),
        (TLS.format("received fatal alert: UnknownCA"), WITH_CERTIFICATE, "refuses the client certificate"),
        (PROXY.format("401 Unauthorized"), WITH_KEY, "refuses the API key"),
        ("Status { code: Unauthenticated, message: 'expired' }", WITH_KEY, "refuses the API key"),
        ("Status { code: PermissionDenied, message: 'no' }", WITH_CERTIFICATE, "no access to this namespace"),
        ("Status { code: PermissionDenied, message: 'no' }", PLAIN, "without credentials"),
        (TLS.format("InvalidCertificate(UnknownIssuer)"), ENCRYPTED, "TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
        (
            TLS.format("InvalidCertificate(NotValidForNameContext { expected: x })"),
            ENCRYPTED,
            "TEMPORAL_TLS_SERVER_NAME",
        ),
        (TLS.format("InvalidCertificate(ExpiredContext { time: x })"), ENCRYPTED, "has expired"),
        (TLS.format("InvalidMessage(InvalidContentType)"), ENCRYPTED, "does not speak TLS"),
        ("h2 protocol error: http2 error: GoAway(b'', FRAME_SIZE_ERROR, Library)", PLAIN, "set TEMPORAL_TLS=true"),
    ],
)
def test_a_client_that_is_not_let_in_is_told_what_to_set(error: str, connection: Connection, words: str) -> None:
    assert words in (refusal_of(RuntimeError(error), connection) or "")
    with pytest.raises(TemporalUnavailable, match=words), let_in(connection):
        raise RuntimeError(error)


def test_a_proxy_without_its_temporal_is_a_temporal_that_is_away() -> None:
    for status in ("502 Bad Gateway", "503 Service Unavailable", "504 Gateway Time-out"):
        error = PROXY.format(status)
        assert refusal_of(RuntimeError(error), ENCRYPTED) is None
        assert brief(RuntimeError(error)).startswith(status[:15])
        assert is_away(RPCError(error, RPCStatusCode.INTERNAL, b""))
