"""The gateway to Temporal that all of a process shares, configured by the settings."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from django.conf import settings

from orchestration.gateway import Gateway
from orchestration.temporal.connection import Connection
from orchestration.temporal.profile import connection_of_environment


def connection() -> Connection:
    """Read where Temporal is: TEMPORAL_* and the profile that they name, below the settings. Raises InvalidProfile."""
    read = connection_of_environment()
    address, namespace = settings.TEMPORAL_ADDRESS or read.address, settings.TEMPORAL_NAMESPACE or read.namespace
    return replace(read, address=address, namespace=namespace, source=connection)


def namespace() -> str:
    """Return the namespace, which lasts as long as the process."""
    return settings.TEMPORAL_NAMESPACE or _namespace_at_start()


@cache
def _namespace_at_start() -> str:
    return connection_of_environment().namespace


@cache
def gateway() -> Gateway:
    """Return the gateway that all of this process shares."""
    return Gateway(connection())
