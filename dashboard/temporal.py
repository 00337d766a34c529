"""The process's one gateway to Temporal, as settings say."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from orchestration.gateway import Gateway
from orchestration.temporal.connection import Connection


def connection() -> Connection:
    """Return where Temporal is."""
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
