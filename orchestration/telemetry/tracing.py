"""Traces by OpenTelemetry: one from a launch to its rows. Off, and without any import, until OTEL_… asks for them.

A trace goes to and through Temporal in headers of workflows and activities, which are no commands: histories replay the
same with and without. What nobody's request or launch began, such as a poll, is no trace.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestration.telemetry import log_context

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, SpanKind, Tracer

log = logging.getLogger(__name__)

DISABLED = "OTEL_SDK_DISABLED"
EXPORTER = "OTEL_TRACES_EXPORTER"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
TRACES_PROTOCOL = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
SPOKEN = "http/protobuf"

SAMPLED = 0x01
"""Bit of the flags in a `traceparent`; another one says that the id is random, and is set where we begin a trace."""

FLUSHED_WITHIN = 2_000
"""Milliseconds that a process which ends waits for the collector."""

_tracer: Tracer | None = None


def is_wanted() -> bool:
    """Whether the environment asks for traces, and they can be had. Logs what keeps them away."""
    if os.environ.get(DISABLED, "").lower() == "true":
        return False
    exporter = os.environ.get(EXPORTER, "")
    if not exporter and not any(os.environ.get(name) for name in (ENDPOINT, TRACES_ENDPOINT)):
        return False
    exporter = exporter or "otlp"
    if exporter not in ("otlp", "console"):
        if exporter != "none":
            log.warning(
                "%s is %r: Canopy exports traces by otlp or to the console. There are none now.", EXPORTER, exporter
            )
        return False
    if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.sdk") is None:
        log.warning("Traces are asked for by OTEL_…, but the extra `otel` is not installed. There are none now.")
        return False
    spoken = os.environ.get(TRACES_PROTOCOL) or os.environ.get(PROTOCOL) or SPOKEN
    if exporter == "otlp" and spoken != SPOKEN:
        log.warning("%s is %r: Canopy speaks %s alone. There are no traces now.", PROTOCOL, spoken, SPOKEN)
        return False
    return True


def configure(service: str, exporter: SpanExporter | None = None) -> None:
    """Begin to trace if the environment asks for it, once in a process; OTEL_SERVICE_NAME goes before `service`.

    An exporter that is given gets each span at once.
    """
    global _tracer
    if _tracer is not None or (exporter is None and not is_wanted()):
        return
    from orchestration.telemetry import tracing_setup

    _tracer = tracing_setup.tracer(service, exporter)
    log_context.add_source(lambda: {"trace": current_trace_id()})


def stop() -> None:
    """Send what is left, within FLUSHED_WITHIN, and trace no more."""
    global _tracer
    if _tracer is not None:
        from orchestration.telemetry import tracing_setup

        _tracer = None
        tracing_setup.stop(FLUSHED_WITHIN)


def interceptors() -> list[Any]:
    """Return the interceptor of a Temporal client, whose workers have it from there; none while nothing is traced."""
    if _tracer is None:
        return []
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor(_tracer)]


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[None]:
    """Trace a block as a part of what is traced already. An exception that leaves it is noted."""
    if _tracer is None or not current_trace_id():
        yield
        return
    with _tracer.start_as_current_span(name, attributes=_named(attributes)):
        yield


@contextmanager
def serving(name: str, carrier: Mapping[str, str]) -> Iterator[Span | None]:
    """Trace the answer to a request, as a part of the trace that its headers name (in lower case), or of a new one."""
    if _tracer is None:
        yield None
        return
    from opentelemetry.propagate import extract

    kind = _kind("SERVER")
    with _tracer.start_as_current_span(name, context=extract(carrier), kind=kind) as current:
        yield current


@contextmanager
def continued(traceparent: str, name: str) -> Iterator[None]:
    """Trace a block as a part of a trace that was noted before, with a link to what is traced now."""
    if _tracer is None or not traceparent or trace_id_of(traceparent) == current_trace_id():
        yield
        return
    from opentelemetry.propagate import extract
    from opentelemetry.trace import Link, get_current_span

    now = get_current_span().get_span_context()
    links = [Link(now)] if now.is_valid else []
    with _tracer.start_as_current_span(name, context=extract({"traceparent": traceparent}), links=links):
        yield


def current_trace_id() -> str:
    """Return the id of the trace that is open, as 32 hexadecimal digits; empty if there is none."""
    return trace_id_of(current_traceparent())


def current_traceparent() -> str:
    """Return the open span as the header `traceparent` of W3C has it; empty if there is none, or it is not sampled."""
    carrier: dict[str, str] = {}
    carry(carrier)
    found = carrier.get("traceparent", "")
    return found if found and int(found.rsplit("-", 1)[1], 16) & SAMPLED else ""


def carry(headers: MutableMapping[str, str]) -> None:
    """Add the open trace to the headers of a request."""
    if _tracer is None:
        return
    from opentelemetry.propagate import inject

    inject(headers)


def trace_id_of(traceparent: str) -> str:
    """Return the trace's id in a `traceparent`; empty for an empty one."""
    return traceparent.split("-")[1] if traceparent else ""


def _kind(name: str) -> SpanKind:
    from opentelemetry.trace import SpanKind

    return SpanKind[name]


def _named(attributes: Mapping[str, str | int]) -> dict[str, str | int]:
    return {f"canopy.{name}": value for name, value in attributes.items()}
