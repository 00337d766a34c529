"""A collector of OpenTelemetry on loopback: it keeps the spans that processes send to it over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Received:
    """One span, with the name of the service that sent it, and the workflow of which it is a part."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    links: tuple[str, ...]
    workflow: str = ""
    run: str = ""


@dataclass
class Collector:
    """What was received so far."""

    url: str
    spans: list[Received] = field(default_factory=list)
    size: int = 0

    def of(self, trace: str) -> list[Received]:
        """Return the spans of a trace."""
        return [each for each in list(self.spans) if each.trace == trace]

    def runs(self, trace: str) -> set[tuple[str, str]]:
        """Return the runs of workflows in a trace: (workflow id, run id)."""
        return {(each.workflow, each.run) for each in self.of(trace) if each.name.startswith("RunWorkflow:")}

    def path(self, trace: str, name: str) -> list[str]:
        """Return the names of the spans from the first of a trace down to one of that name; empty if there is none."""
        spans = {each.span: each for each in self.of(trace)}
        found = next((each for each in spans.values() if each.name == name), None)
        names = list[str]()
        while found is not None:
            names.insert(0, found.name)
            found = spans.get(found.parent)
        return names

    def receive(self, body: bytes) -> None:
        """Keep what a process has sent, and count its bytes."""
        self.size += len(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {each.key: each.value.string_value for each in resource.resource.attributes}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                links = tuple(each.trace_id.hex() for each in span.links)
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                of = {each.key: each.value.string_value for each in span.attributes}
                names = of.get("temporalWorkflowID", ""), of.get("temporalRunID", "")
                self.spans.append(Received(told["service.name"], span.name, *ids, links, *names))


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""

    class Receives(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.receive(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *given: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receives)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
