"""Traces are off and cost no import until they are asked for; what they need is said, and what nobody began is none."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from orchestration.telemetry import log_context, tracing, tracing_setup
from tests.support.stack import ROOT

VARIABLES = (tracing.DISABLED, tracing.EXPORTER, tracing.ENDPOINT, tracing.TRACES_ENDPOINT, tracing.PROTOCOL)
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def _untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Trace to memory."""
    exporter = InMemorySpanExporter()
    tracing.configure("test", exporter)
    yield exporter
    tracing.stop()


def test_nothing_is_imported_while_nothing_is_traced() -> None:
    program = (
        "import sys; from orchestration.telemetry import tracing; import orchestration.temporal.connection\n"
        "tracing.configure('x')\n"
        "with tracing.span('a'), tracing.serving('b', {}), tracing.continued('', 'c'): pass\n"
        "assert tracing.interceptors() == [] and tracing.current_trace_id() == ''\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
    ],
)
def test_the_standard_variables_ask_for_traces(
    given: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert tracing.is_wanted() is wanted


@pytest.mark.parametrize(
    "given",
    [
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_what_cannot_be_exported_is_said(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING):
        assert not tracing.is_wanted()
    assert list(given)[-1] in caplog.text


def test_a_request_is_part_of_its_clients_trace_and_lines_of_the_log_name_it(exporter: InMemorySpanExporter) -> None:
    with tracing.serving("POST", {"traceparent": TRACEPARENT}), tracing.span("write rows", batch="b"):
        assert tracing.current_trace_id() == log_context.fields()["trace"] == TRACE
        headers: dict[str, str] = {}
        tracing.carry(headers)
        assert headers["traceparent"] == tracing.current_traceparent()
    inner, outer = exporter.get_finished_spans()
    assert (inner.name, dict(inner.attributes or {})) == ("write rows", {"canopy.batch": "b"})
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id
    assert outer.kind is SpanKind.SERVER
    assert tracing.current_trace_id() == ""
    assert "trace" not in log_context.fields()


def test_a_trace_that_begins_here_is_known_to_what_is_within_and_one_that_is_not_sampled_is_none(
    exporter: InMemorySpanExporter,
) -> None:
    with tracing.serving("POST", {}), tracing.span("write rows"):
        trace = tracing.current_trace_id()
    assert [f"{each.context.trace_id:032x}" for each in exporter.get_finished_spans()] == [trace, trace]
    with tracing.serving("POST", {"traceparent": f"{TRACEPARENT[:-2]}02"}), tracing.span("write rows"):
        assert tracing.current_trace_id() == ""
    assert len(exporter.get_finished_spans()) == 2


def test_what_is_continued_later_is_part_of_the_same_trace_and_links_to_what_asked_for_it(
    exporter: InMemorySpanExporter,
) -> None:
    with tracing.serving("POST", {}), tracing.continued(TRACEPARENT, "retry"):
        assert tracing.current_trace_id() == TRACE
    retry, request = exporter.get_finished_spans()
    assert [link.context.trace_id for link in retry.links] == [request.context.trace_id]
    with tracing.continued(TRACEPARENT, "start"), tracing.continued(TRACEPARENT, "start"):
        pass
    assert [each.name for each in exporter.get_finished_spans()] == ["retry", "POST", "start"]


def test_a_process_that_ends_does_not_wait_for_a_collector_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    never, asked = threading.Event(), threading.Event()

    def away() -> bool:
        asked.set()
        return never.wait(60)

    tracing.configure("test", InMemorySpanExporter())
    monkeypatch.setattr(tracing_setup._provider, "force_flush", away)
    began = time.monotonic()
    tracing.stop()
    waited = time.monotonic() - began
    never.set()
    assert asked.is_set()
    assert waited < 30


def test_what_nobody_began_is_no_trace(exporter: InMemorySpanExporter) -> None:
    assert tracing._tracer is not None
    for name, kind in (("QueryWorkflow:progress", SpanKind.CLIENT), ("RunActivity:notify", SpanKind.SERVER)):
        with tracing._tracer.start_as_current_span(name, kind=kind):
            assert tracing.current_trace_id() != TRACE
    with tracing.span("write rows"):
        pass
    assert exporter.get_finished_spans() == ()
    with tracing._tracer.start_as_current_span("RunActivity:launch_scheduled", kind=SpanKind.SERVER):
        pass
    assert [each.name for each in exporter.get_finished_spans()] == ["RunActivity:launch_scheduled"]
