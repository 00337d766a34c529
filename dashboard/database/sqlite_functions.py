"""Functions in Python that connections to SQLite get, under the name `canopy_<name of the function>`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

F = TypeVar("F", bound=Callable[..., Any])
_functions: list[tuple[Callable[..., Any], int]] = []


def sqlite_function(arguments: int) -> Callable[[F], F]:
    """Give a deterministic function of so many arguments to connections that are made from now on."""

    def add(function: F) -> F:
        _functions.append((function, arguments))
        return function

    return add


@receiver(connection_created)
def add_functions(connection: BaseDatabaseWrapper, **signal: Any) -> None:
    """Give a new connection to SQLite the functions."""
    if connection.vendor == "sqlite":
        for function, arguments in _functions:
            name = f"canopy_{function.__name__}"
            connection.connection.create_function(name, arguments, function, deterministic=True)
