"""Where Temporal is, how a client connects to it, and the errors of a Temporal that does not answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import unquote, urlsplit

from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.converter import DataConverter
from temporalio.runtime import Runtime
from temporalio.service import (
    HttpConnectProxyConfig,
    KeepAliveConfig,
    RetryConfig,
    RPCError,
    RPCStatusCode,
    TLSConfig,
)

from orchestration.network.proxies import proxy_for
from orchestration.telemetry import tracing
from orchestration.temporal.data_converter import data_converter, with_codec
from orchestration.temporal.refusals import brief, refusal_of
from orchestration.temporal.remote_codec import CodecServer, RemoteCodec

log = logging.getLogger(__name__)

KEEP_ALIVE = KeepAliveConfig(interval_millis=10_000, timeout_millis=5_000)
"""A server that says nothing for so long is connected to again. Temporal allows a probe every 10 s."""

CONNECT_TIMEOUT = 10.0
"""Seconds for a connection of a process that waits until there is one."""

RECONNECT_PAUSES = (0.5, 1, 2, 5)
"""Seconds before the second and each further try to connect; the last one repeats."""

RPC_TIMEOUT = timedelta(seconds=5)
WITHIN_RPC_TIMEOUT = RetryConfig(max_elapsed_time_millis=int(RPC_TIMEOUT.total_seconds() * 1000))
"""Where people wait: a call that has used its time up is not made again. The SDK's default makes it three times."""

HEALTH_TIMEOUT = timedelta(seconds=2)
"""For the question whether Temporal answers at all, after a search that it did not."""

UNAVAILABLE = "Can't reach Temporal."
SLOW = "Temporal answers, but it took longer than 5 s to search."
BUSY = "A limit of Temporal is reached: {reason}."
REFUSAL = "Temporal refused the request: {reason}."

UNANSWERED = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED, RPCStatusCode.UNKNOWN)
"""Of calls without an answer. A connection that breaks during a call is UNKNOWN: its message is `transport error`."""

BROKEN_CONNECTION = (
    *("h2", "http2", "transport", "connect", "stream", "reset", "broken pipe", "eof", "body", "dns", "timed out"),
    *("status: 502", "status: 503", "status: 504"),
)
"""Parts of messages of INTERNAL errors that come from the connection, or from a proxy, not from Temporal."""

UNREACHABLE = (RPCStatusCode.UNAVAILABLE, *UNANSWERED)
LIMITED = (RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.OUT_OF_RANGE)
REFUSED = (
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.UNIMPLEMENTED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.DATA_LOSS,
)


class TemporalUnavailable(Exception):
    """Can't reach Temporal."""


class TemporalSlow(TemporalUnavailable):
    """Temporal answers, but not this search in time."""


class TemporalBusy(TemporalUnavailable):
    """A limit of Temporal is reached, and nothing was done: requests a second, updates in flight, a message's size."""


class TemporalRefused(TemporalUnavailable):
    """Temporal refused a request, and nothing was done. `status` is the gRPC status."""

    def __init__(self, message: str, status: RPCStatusCode) -> None:
        super().__init__(message)
        self.status = status


class BatchNotRunning(Exception):
    """The root is closed or was never started: it can be neither signaled nor canceled nor terminated."""


class HistoryGone(Exception):
    """Temporal no longer has the history that a request needs."""


class StateTooLarge(Exception):
    """What a run would continue from is larger than Temporal takes. `size` is in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size:,} bytes")
        self.size = size


class BatchRunning(Exception):
    """The root is running, so it cannot be started again."""


@dataclass(frozen=True)
class Connection:
    """Where Temporal is, and as whom it is asked. `tls` None: TLS if there is an API key, as Temporal Cloud has it.

    `source` reads the connection again, where it came from files that may change.
    """

    address: str
    namespace: str = "default"
    api_key: str = field(default="", repr=False)
    tls: bool | TLSConfig | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    codec: CodecServer | None = None
    source: Callable[[], Connection] | None = field(default=None, repr=False, compare=False)

    @property
    def has_tls(self) -> bool:
        """Whether it is encrypted."""
        return bool(self.api_key) if self.tls is None else self.tls is not False

    @property
    def has_certificate(self) -> bool:
        """Whether the client shows a certificate of its own."""
        return isinstance(self.tls, TLSConfig) and self.tls.client_cert is not None


def is_away(error: BaseException) -> bool:
    """Whether an error says that Temporal cannot be reached."""
    if not isinstance(error, RPCError):
        return isinstance(error, TemporalUnavailable)
    message = error.message.lower()
    is_broken = error.status is RPCStatusCode.INTERNAL and any(part in message for part in BROKEN_CONNECTION)
    return error.status in UNREACHABLE or is_broken


def is_away_or_busy(error: BaseException) -> bool:
    """Whether the same request may succeed later: Temporal cannot be reached, or one of its limits is."""
    return is_away(error) or (isinstance(error, RPCError) and error.status is RPCStatusCode.RESOURCE_EXHAUSTED)


@contextmanager
def unavailable() -> Iterator[None]:
    """Raise TemporalUnavailable for every error with which a call fails while Temporal cannot be reached.

    Raise TemporalBusy or TemporalRefused where it answers that it will not do it. What depends on the workflow (not
    found, exists already, aborted) is left to the caller.
    """
    try:
        yield
    except (TimeoutError, RuntimeError, OSError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise TemporalUnavailable(UNAVAILABLE) from error
    except RPCError as error:
        if is_away(error):
            raise TemporalUnavailable(UNAVAILABLE) from error
        if error.status in LIMITED:
            raise TemporalBusy(BUSY.format(reason=error.message.rstrip("."))) from error
        if error.status in REFUSED:
            raise TemporalRefused(REFUSAL.format(reason=error.message.rstrip(".")), error.status) from error
        raise


@contextmanager
def let_in(connection: Connection) -> Iterator[None]:
    """Raise TemporalUnavailable with the reason for an error that says that a client is not let in."""
    try:
        yield
    except (RPCError, RuntimeError) as error:
        if (reason := refusal_of(error, connection)) is None:
            raise
        raise TemporalUnavailable(f"{reason}.") from error


@asynccontextmanager
async def searching(client: Callable[[], Awaitable[Client]]) -> AsyncIterator[None]:
    """Raise TemporalSlow, not TemporalUnavailable, for a search without an answer while Temporal answers otherwise."""
    try:
        with unavailable():
            yield
    except TemporalUnavailable as error:
        cause = error.__cause__
        is_late = isinstance(cause, RPCError) and cause.status is RPCStatusCode.DEADLINE_EXCEEDED
        if is_late and await _answers(await client()):
            raise TemporalSlow(SLOW) from error
        raise


async def _answers(client: Client) -> bool:
    try:
        return await client.service_client.check_health(timeout=HEALTH_TIMEOUT)
    except RPCError:
        return False


@contextmanager
def not_running() -> Iterator[None]:
    """Raise BatchNotRunning where Temporal answers that no such workflow is open."""
    try:
        yield
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise BatchNotRunning("The batch is not running.") from error
        raise


async def connect(
    connection: Connection, *, runtime: Runtime | None = None, retry: RetryConfig | None = None
) -> Client:
    """Connect to Temporal, once. Raises RPCError, RuntimeError or OSError when it does not answer."""
    return await Client.connect(
        connection.address,
        namespace=connection.namespace,
        api_key=connection.api_key or None,
        tls=connection.tls,
        rpc_metadata=connection.metadata,
        data_converter=_converter(connection),
        keep_alive_config=KEEP_ALIVE,
        retry_config=retry,
        runtime=runtime,
        interceptors=tracing.interceptors(),
        http_connect_proxy_config=_proxy(connection),
    )


def _converter(connection: Connection) -> DataConverter:
    plain = data_converter()
    if connection.codec is None:
        return plain
    return with_codec(plain, RemoteCodec(connection.codec, connection.namespace))


def _proxy(connection: Connection) -> HttpConnectProxyConfig | None:
    """Return the proxy through which a connection with TLS goes: HTTPS_PROXY, unless NO_PROXY names the server."""
    host, _, port = connection.address.rpartition(":")
    found = proxy_for("https", host, int(port) if port.isdecimal() else None) if connection.has_tls else None
    if found is None:
        return None
    url = urlsplit(found)
    login = (unquote(url.username), unquote(url.password or "")) if url.username else None
    return HttpConnectProxyConfig(target_host=f"{url.hostname}:{url.port or 80}", basic_auth=login)


async def connect_with_retries(connection: Connection, *, runtime: Runtime | None = None) -> Client:
    """Connect to Temporal, and try again until it answers, with the keys and certificates that there are by then."""
    tries = 0
    while True:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await connect(connection, runtime=runtime)
        except (RPCError, RuntimeError, OSError) as error:
            pause = RECONNECT_PAUSES[min(tries, len(RECONNECT_PAUSES) - 1)]
            tries += 1
            reason = refusal_of(error, connection) or f"Can't reach Temporal at {connection.address} ({brief(error)})"
            log.warning("%s; retrying in %s s.", reason, pause)
            await asyncio.sleep(pause)
        connection = await asyncio.to_thread(read_again, connection)


def read_again(connection: Connection) -> Connection:
    """Return a connection as its files have it now, or as it is while they cannot be used."""
    try:
        return connection.source() if connection.source is not None else connection
    except ValueError as error:
        log.warning("%s Canopy keeps what it read before.", error)
        return connection
