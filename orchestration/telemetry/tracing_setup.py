"""How traces leave a process: sampled by OTEL_…, in batches, over HTTP. Imported only where there are any."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, Tracer, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from orchestration.network.authorities import authorities_file

LAUNCH_ACTIVITY = "RunActivity:launch_scheduled"
"""The one activity that begins a trace: nobody's request does."""

COLLECTOR_AUTHORITIES = ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")

_provider: TracerProvider | None = None


class FromARequest(Sampler):
    """Leaves out what no request and no schedule began; for the rest it asks the sampler of OTEL_TRACES_SAMPLER."""

    def __init__(self, inner: Sampler) -> None:
        self._inner = inner

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide for one span."""
        has_parent = get_current_span(parent_context).get_span_context().is_valid
        begins = kind is SpanKind.SERVER and (not name.startswith("RunActivity:") or name == LAUNCH_ACTIVITY)
        if not has_parent and not begins:
            return SamplingResult(Decision.DROP)
        return self._inner.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Return what it is called."""
        return f"FromARequest({self._inner.get_description()})"


def tracer(service: str, exporter: SpanExporter | None) -> Tracer:
    """Return the tracer of this process, which exports to the one given, or as OTEL_… says."""
    global _provider
    is_named = SERVICE_NAME in OTELResourceDetector().detect().attributes
    resource = Resource.create({} if is_named else {SERVICE_NAME: service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.sampler = FromARequest(provider.sampler)
    provider.add_span_processor(BatchSpanProcessor(_exporter()) if exporter is None else SimpleSpanProcessor(exporter))
    _provider = provider
    return provider.get_tracer("canopy")


def stop(within: int) -> None:
    """Send what is left, within so many milliseconds; the SDK itself would wait until its retries end."""
    if _provider is not None:
        flushing = threading.Thread(target=_provider.force_flush, name="flush-traces", daemon=True)
        flushing.start()
        flushing.join(within / 1000)


def _exporter() -> SpanExporter:
    if os.environ.get("OTEL_TRACES_EXPORTER") == "console":
        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    own = any(os.environ.get(name) for name in COLLECTOR_AUTHORITIES)
    return OTLPSpanExporter(certificate_file=None if own else authorities_file())
