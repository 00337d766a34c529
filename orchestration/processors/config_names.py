"""Names under which an installation configures secrets, databases and file stores for its workers."""

from __future__ import annotations

import os
import re

from pydantic import AfterValidator

SECRET_PREFIX = "CANOPY_SECRET_"  # noqa: S105  a prefix, no secret
"""Prefix of the environment variables that hold the values of secrets where workers run."""

CONFIG_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")


def config_name(what: str, example: str) -> AfterValidator:
    """Return the validator of a parameter that is such a name. `what` has its article, such as "a connection"."""

    def check(name: str) -> str:
        if not CONFIG_NAME.fullmatch(name):
            raise ValueError(f"Enter the name of {what}, such as {example}.")
        return name

    return AfterValidator(check)


def configured(prefix: str, name: str) -> str | None:
    """Return the value of the variable of a name; None if it is not set or the name is invalid.

    Ends of lines after it are dropped: a value that was read from a file has one, and it would break a header.
    """
    value = os.environ.get(prefix + name) if CONFIG_NAME.fullmatch(name) else None
    return None if value is None else value.rstrip("\r\n")
