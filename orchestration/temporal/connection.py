"""Connection: where Temporal is, how long it may take to answer, and what it means when it does not."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode

from orchestration.temporal.data_converter import data_converter

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL = timedelta(seconds=2)
"""Of the worker as a whole; its age is what tells a lost worker. Temporal's default is 60 s."""
RECONNECT_PAUSES = (0.5, 1, 2, 5)
RPC_TIMEOUT = timedelta(seconds=5)
AWAY = "Temporal does not answer."


class TemporalUnavailable(Exception):
    """Temporal does not answer."""


class BatchNotRunning(Exception):
    """The root is closed or was never started, so there is nothing to signal, cancel or terminate."""


class BatchRunning(Exception):
    """The root runs, so it cannot be started again."""


@dataclass(frozen=True)
class Connection:
    """Where Temporal is."""

    address: str
    namespace: str = "default"
    api_key: str = ""
    tls: bool = False


def connection_of_environment() -> Connection:
    """Return where Temporal is as TEMPORAL_ADDRESS, _NAMESPACE, _API_KEY and _TLS say."""
    return Connection(
        address=os.environ.get("TEMPORAL_ADDRESS", "127.0.0.1:7233"),
        namespace=os.environ.get("TEMPORAL_NAMESPACE", "default"),
        api_key=os.environ.get("TEMPORAL_API_KEY", ""),
        tls=os.environ.get("TEMPORAL_TLS", "").lower() in ("1", "true", "yes", "on"),
    )


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn whatever a Temporal that is away makes of a call into TemporalUnavailable."""
    try:
        yield
    except (TimeoutError, RuntimeError, OSError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise TemporalUnavailable(AWAY) from error
    except RPCError as error:
        if error.status in (
            RPCStatusCode.UNAVAILABLE,
            RPCStatusCode.DEADLINE_EXCEEDED,
            RPCStatusCode.CANCELLED,
            RPCStatusCode.RESOURCE_EXHAUSTED,
        ):
            raise TemporalUnavailable(AWAY) from error
        raise


@contextmanager
def not_running() -> Iterator[None]:
    """Turn Temporal not knowing an open workflow into BatchNotRunning."""
    try:
        yield
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise BatchNotRunning("The batch is not running.") from error
        raise


def runtime() -> Runtime:
    """Return a runtime whose workers heartbeat often enough to be missed quickly."""
    return Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=HEARTBEAT_INTERVAL)


async def connect(connection: Connection, *, runtime: Runtime | None = None) -> Client:
    """Connect to Temporal, trying again until it answers."""
    tries = 0
    while True:
        try:
            return await Client.connect(
                connection.address,
                namespace=connection.namespace,
                api_key=connection.api_key or None,
                tls=connection.tls or None,
                data_converter=data_converter(),
                runtime=runtime,
            )
        except (RPCError, RuntimeError, OSError) as error:
            pause = RECONNECT_PAUSES[min(tries, len(RECONNECT_PAUSES) - 1)]
            tries += 1
            log.warning("Temporal at %s does not answer (%s); next try in %s s.", connection.address, error, pause)
            await asyncio.sleep(pause)
