"""What a web process tells besides its pages: logs without secrets, and metrics on the port of CANOPY_METRICS."""

from __future__ import annotations

from dashboard.health.checks import needed_by_batches, needed_to_serve
from dashboard.health.gauges import open_batches
from dashboard.health.probes import is_for_this_machine
from dashboard.server.drain import is_draining
from orchestration.processors.secrets import mask_logs, register_own_secrets
from orchestration.telemetry import sdk_metrics, tracing
from orchestration.telemetry.process_endpoint import ProcessEndpoint

ADDRESS = "CANOPY_METRICS"
"""Environment: where the web process answers Prometheus and probes without asking who it is, such as 0.0.0.0:9090."""


def begin_telling() -> ProcessEndpoint | None:
    """Mask secrets in the log, trace and count if somebody asks for it, and open the port if there is one."""
    register_own_secrets()
    mask_logs()
    tracing.configure("canopy-web")
    if is_for_this_machine():
        sdk_metrics.want()
    own = needed_to_serve, needed_by_batches, open_batches.refresh, is_draining
    return ProcessEndpoint.of_environment(ADDRESS, *own)
