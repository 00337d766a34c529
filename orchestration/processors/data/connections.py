"""Connections: the databases that an installation configures by name, and how work over them fails.

CANOPY_CONNECTION_<NAME> is the URL (postgres://… or sqlite:////absolute/path) where workers run, and
CANOPY_CONNECTION_<NAME>_WRITABLE=1 lets work write through it. Batches and forms have the name alone.
"""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field

from orchestration.processors.config_names import named

VARIABLE = "CANOPY_CONNECTION_"
WRITABLE = "_WRITABLE"
ConnectionName = Annotated[str, Field(title="Connection", max_length=100), named("a connection", "SHOP")]


class ConnectionMissing(LookupError):
    """A connection that was named is not configured where the worker runs."""


class InvalidStatement(Exception):
    """The database refuses the statement with these fields: another attempt would not change that."""


class InvalidTable(Exception):
    """The table is not there, or is not as the import needs it."""


class DatabaseFailed(Exception):
    """The database did not answer, or took too long: another attempt may help."""


def is_writable(name: str) -> bool:
    """Whether the installation lets work write through a connection."""
    return os.environ.get(f"{VARIABLE}{name}{WRITABLE}", "").lower() in ("1", "true", "yes", "on")
