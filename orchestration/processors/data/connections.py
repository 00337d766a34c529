"""Database connections that an installation configures by name, and the errors of work on them.

CANOPY_CONNECTION_<NAME> is the URL (postgres://… or sqlite:////absolute/path) where workers run, and
CANOPY_CONNECTION_<NAME>_WRITABLE=1 allows writing. Batches and forms hold only the name.
"""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field

from orchestration.processors.config_names import CONFIG_NAME, config_name

CONNECTION_PREFIX = "CANOPY_CONNECTION_"
WRITABLE_SUFFIX = "_WRITABLE"
ConnectionName = Annotated[str, Field(title="Connection", max_length=100), config_name("a connection", "SHOP")]


class ConnectionMissing(LookupError):
    """The connection is not configured where the worker runs."""


class RoleTooPowerful(Exception):
    """The role of a read-only connection may do more than read: a superuser, or with rights to files or programs."""


class InvalidStatement(Exception):
    """The database rejects the statement with these fields. Not retried, as it would fail again."""


class InvalidTable(Exception):
    """The table does not exist, or lacks a column or the unique key of the import."""


class DatabaseFailed(Exception):
    """The database did not answer, or took too long. A retry may succeed."""


def is_writable(name: str) -> bool:
    """Whether the installation allows writing through a connection."""
    return os.environ.get(f"{CONNECTION_PREFIX}{name}{WRITABLE_SUFFIX}", "").lower() in ("1", "true", "yes", "on")


def connection_names() -> list[str]:
    """Return the names of all connections that are configured here."""
    names = (name.removeprefix(CONNECTION_PREFIX) for name in os.environ if name.startswith(CONNECTION_PREFIX))
    return sorted(name for name in names if CONFIG_NAME.fullmatch(name) and not name.endswith(WRITABLE_SUFFIX))
