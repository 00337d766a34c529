"""What goes through Temporal is encoded by a codec server, and comes back as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex

import pytest
from google.protobuf.json_format import MessageToJson, Parse
from temporalio.api.common.v1 import Payload, Payloads

from orchestration.temporal.connection import Connection, connect
from orchestration.temporal.remote_codec import CodecFailed, CodecServer, RemoteCodec
from tests.support.stack import TemporalServer

ENCODING = b"test/reversed"


class _Codec(BaseHTTPRequestHandler):
    """Reverses payloads, for whoever shows the right header and namespace; others are refused."""

    def do_POST(self) -> None:
        given = Parse(self.rfile.read(int(self.headers["Content-Length"])), Payloads())
        changed = [_encoded(each) if self.path == "/team/encode" else _decoded(each) for each in given.payloads]
        content = MessageToJson(Payloads(payloads=changed)).encode()
        is_known = (self.headers["Authorization"], self.headers["X-Namespace"]) == ("Bearer codec", "team")
        self.send_response(200 if is_known else 403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *given: object) -> None:
        """Say nothing."""


def _encoded(payload: Payload) -> Payload:
    return Payload(metadata={"encoding": ENCODING}, data=payload.SerializeToString()[::-1])


def _decoded(payload: Payload) -> Payload:
    return Payload.FromString(payload.data[::-1]) if payload.metadata["encoding"] == ENCODING else payload


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a codec server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Codec)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{{namespace}}"
    server.shutdown()
    server.server_close()


async def test_temporal_keeps_what_the_codec_server_made_of_it(address: str, temporal_server: TemporalServer) -> None:
    if "team" not in temporal_server.cli("operator", "namespace", "list"):
        temporal_server.cli("operator", "namespace", "create", "--namespace", "team")
    codec = CodecServer("", address, "Bearer codec")
    client = await connect(Connection(temporal_server.address, "team", codec=codec))
    handle = await client.start_workflow(
        "Nobody", {"secret": "plain text"}, id=f"coded-{token_hex(4)}", task_queue="nobody", memo={"note": "plain text"}
    )
    events = (await handle.fetch_history()).events
    kept = events[0].workflow_execution_started_event_attributes.input.payloads[0]
    assert kept.metadata["encoding"] == ENCODING
    assert b"plain text" not in kept.data
    assert await (await handle.describe()).memo() == {"note": "plain text"}
    await handle.terminate()


async def test_a_codec_server_that_refuses_is_named(address: str) -> None:
    with pytest.raises(CodecFailed, match=r"did not encode.*403"):
        await RemoteCodec(CodecServer("", address, "Bearer other"), "team").encode([Payload(data=b"1")])
    assert await RemoteCodec(CodecServer("", address), "team").encode([]) == []
