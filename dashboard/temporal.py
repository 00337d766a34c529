"""The gateway to Temporal that all of a process shares, configured by the settings."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from orchestration.gateway import Gateway
from orchestration.temporal.connection import Connection


def connection() -> Connection:
    """Return the connection settings of Temporal."""
    return Connection(
        address=settings.TEMPORAL_ADDRESS,
        namespace=settings.TEMPORAL_NAMESPACE,
        api_key=settings.TEMPORAL_API_KEY,
        tls=settings.TEMPORAL_TLS,
    )


@cache
def gateway() -> Gateway:
    """Return the gateway that all of this process shares."""
    return Gateway(connection())
