"""Where a secret may go: to hosts, processors and programs that the installation names beside its value.

CANOPY_SECRET_CRM__HOSTS=crm.example.org,*.crm.example.org lets http_request send CRM to these hosts,
CANOPY_SECRET_CRM__PROCESSORS=orders lets a processor read it, CANOPY_SECRET_CRM__PROGRAMS=sync lets `command` give it
to a program. As soon as one of them is set, any other use is an error; a secret with none of them may go anywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from orchestration.processors.config_names import CONFIG_NAME, SECRET_PREFIX, configured

RESERVED = frozenset({"KEY", "KEY_FALLBACKS"})
"""Names whose variables are the dashboard's own: CANOPY_SECRET_KEY signs its sessions."""

SCOPES = ("HOSTS", "PROCESSORS", "PROGRAMS")

_processor: ContextVar[str] = ContextVar("processor", default="")


class SecretNotAllowed(PermissionError):
    """The installation does not let a secret go there."""


@contextmanager
def processing(processor: str) -> Iterator[None]:
    """Say which processor reveals secrets within the block."""
    token = _processor.set(processor)
    try:
        yield
    finally:
        _processor.reset(token)


def is_scope(name: str) -> bool:
    """Whether a name is that of a scope, and not of a secret."""
    return name.endswith(tuple(f"__{scope}" for scope in SCOPES))


def secrets_that_may_go_anywhere() -> list[str]:
    """Return the names of the secrets of this worker for which no scope is set."""
    names = (each.removeprefix(SECRET_PREFIX) for each in os.environ if each.startswith(SECRET_PREFIX))
    secrets = (name for name in names if CONFIG_NAME.fullmatch(name) and not is_scope(name) and name not in RESERVED)
    return sorted(name for name in secrets if all(_scope(name, each) is None for each in SCOPES))


def check_use(name: str, *, host: str = "", program: str = "") -> None:
    """Raise SecretNotAllowed unless a secret may go to a host (as host or host:port), a program, or the processor."""
    hosts, processors, programs = (_scope(name, scope) for scope in SCOPES)
    if hosts is None and processors is None and programs is None:
        return
    processor = _processor.get()
    is_named = processors is not None and processor in processors
    if processors is not None and not is_named:
        raise _refusal(name, f"the processor {processor or '(unknown)'}", "PROCESSORS")
    if host and not (is_named if hosts is None else any(_matches(host.lower(), each.lower()) for each in hosts)):
        raise _refusal(name, f"the host {host}", "HOSTS")
    if program and not (is_named if programs is None else program in programs):
        raise _refusal(name, f"the program {program}", "PROGRAMS")
    if not host and not program and not is_named:
        raise _refusal(name, f"the processor {processor or '(unknown)'}", "PROCESSORS")


def _scope(name: str, scope: str) -> list[str] | None:
    given = configured(SECRET_PREFIX, f"{name}__{scope}")
    return None if given is None else [each.strip() for each in given.split(",") if each.strip()]


def _matches(host: str, allowed: str) -> bool:
    own = re.sub(r":\d+$", "", host)
    return own.endswith(allowed[1:]) if allowed.startswith("*.") else allowed in (host, own)


def _refusal(name: str, where: str, scope: str) -> SecretNotAllowed:
    return SecretNotAllowed(
        f"The secret {name} may not go to {where}: {SECRET_PREFIX}{name}__{scope} does not name it."
    )
