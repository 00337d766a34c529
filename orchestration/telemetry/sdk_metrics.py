"""Metrics of Temporal's SDK: its native core serves them on a port of loopback, from where they are read.

The other way, a buffer of every single update that Python empties, costs more than the tasks that are counted.
"""

from __future__ import annotations

import http.client
import os
import socket
from contextlib import closing

from temporalio.runtime import PrometheusConfig

WANTED_BY = ("CANOPY_METRICS", "CANOPY_METRICS_TOKEN", "CANOPY_WORKER_HTTP")
"""Variables of the environment that ask for metrics: without one of them the core counts nothing, and has no port."""

ANSWER_WITHIN = 0.5
"""Seconds."""

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
FINE = (
    *("workflow_task_execution_latency", "workflow_task_schedule_to_start_latency", "workflow_task_replay_latency"),
    *("activity_execution_latency", "activity_schedule_to_start_latency", "local_activity_execution_latency"),
    *("request_latency", "long_request_latency", "workflow_endtoend_latency"),
)


class _Source:
    """Where the core serves them; 0 while it does not. `is_wanted` turns them on without a variable."""

    port = 0
    is_wanted = False


_source = _Source()


def want() -> None:
    """Have the core of this process count: somebody may read it. Call it before the first connection."""
    _source.is_wanted = True


def is_wanted() -> bool:
    """Whether anybody reads metrics of this process."""
    return _source.is_wanted or any(os.environ.get(name) for name in WANTED_BY)


def configuration() -> PrometheusConfig:
    """Return the core's configuration, on a port that is free now. Where it is taken by then, ask again."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        _source.port = server.getsockname()[1]
    return PrometheusConfig(
        bind_address=f"127.0.0.1:{_source.port}",
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides=dict.fromkeys(FINE, LATENCY_BUCKETS),
    )


def text() -> bytes:
    """Return them in Prometheus' text format; nothing where there are none, or the core does not answer."""
    if not _source.port:
        return b""
    connection = http.client.HTTPConnection("127.0.0.1", _source.port, timeout=ANSWER_WITHIN)
    try:
        with closing(connection):
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            return answer.read() if answer.status == 200 else b""
    except (OSError, http.client.HTTPException):
        return b""
