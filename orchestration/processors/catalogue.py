"""The catalogue of processors: built-in ones, those of installed packages, and those of CANOPY_PROCESSORS."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from orchestration.errors.texts import named
from orchestration.processors.credentials import masked_credentials
from orchestration.processors.processor import Processor
from orchestration.processors.registry import registered

BUILTIN_MODULES = (
    "orchestration.processors.builtin.simulate",
    "orchestration.processors.builtin.http_request",
    "orchestration.processors.builtin.web_page",
    "orchestration.processors.builtin.command",
    "orchestration.processors.builtin.sql_query",
    "orchestration.processors.builtin.csv_import",
    "orchestration.processors.builtin.file_digest",
    "orchestration.processors.builtin.workflow",
)
ENTRY_POINTS = "canopy.processors"
"""Entry point group in which an installed package lists its modules with processors."""


class UnknownProcessor(LookupError):
    """No processor of that name is registered in this process."""


class CannotLoad(Exception):
    """A module with processors cannot be loaded; the message says which, and why."""


@lru_cache(maxsize=1)
def load() -> None:
    """Import, once, the built-in processors, those of installed packages, and those named in CANOPY_PROCESSORS.

    Raises CannotLoad for a module that cannot be imported or whose processors cannot be registered.
    """
    for module in BUILTIN_MODULES:
        importlib.import_module(module)
    for entry in sorted(entry_points(group=ENTRY_POINTS)):
        _import(f"the entry point {entry.name} = {entry.value}", entry)
    for module in os.environ.get("CANOPY_PROCESSORS", "").split(","):
        if module.strip():
            _import(f"CANOPY_PROCESSORS: {module.strip()}", EntryPoint("", module.strip(), ENTRY_POINTS))


def _import(source: str, entry: EntryPoint) -> None:
    try:
        entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a script that is no module ends with sys.exit
        raise CannotLoad(f"{source}: {named(error)}") from error


def processors() -> Mapping[str, Processor]:
    """Return all processors, by name."""
    load()
    return registered()


def get_processor(name: str) -> Processor:
    """Return a processor. Raises UnknownProcessor."""
    try:
        return processors()[name]
    except KeyError:
        raise UnknownProcessor(name) from None


def shown_parameters(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored parameters of a processor, which may be gone, as people see them: without credentials."""
    found = processors().get(name)
    return found.shown_parameters(data) if found is not None else masked_credentials(None, data)


def processor_of(function: Callable[..., Any]) -> Processor:
    """Return the processor of a decorated function. Raises LookupError."""
    found = next((each for each in registered().values() if each.function is function), None)
    if found is None:
        raise LookupError(f"{function!r} is not a processor: the decorator is missing.")
    return found
