"""The SDK's runtime that all connections of a process share: heartbeats of workers, metrics, the core's log."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import cache

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from orchestration.telemetry import log_lines, sdk_metrics

HEARTBEAT_INTERVAL = timedelta(seconds=2)
"""Of a worker process; the age of its last heartbeat shows that a worker is lost. Temporal's default is 60 s."""

PORTS_TRIED = 5
"""Another process may take a free port before the core does."""


@cache
def runtime() -> Runtime:
    """Return the runtime of this process, whose workers send a heartbeat every HEARTBEAT_INTERVAL."""
    if sdk_metrics.is_wanted():
        for tries in range(PORTS_TRIED):
            try:
                return _runtime(
                    TelemetryConfig(
                        logging=_core_logging(), metrics=sdk_metrics.configuration(), attach_service_name=False
                    )
                )
            except (RuntimeError, ValueError):
                if tries == PORTS_TRIED - 1:
                    raise
    return _runtime(TelemetryConfig(logging=_core_logging()))


def _runtime(telemetry: TelemetryConfig) -> Runtime:
    return Runtime(telemetry=telemetry, worker_heartbeat_interval=HEARTBEAT_INTERVAL)


def _core_logging() -> LoggingConfig:
    """Return where the native core logs: to standard error, or as JSON with all other lines."""
    if not log_lines.is_json():
        return LoggingConfig.default
    return LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core"), prepend_target_on_message=False),
    )
