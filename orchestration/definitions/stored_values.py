"""Which results in the store references and conditions need. Pure and deterministic, as workflows need it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestration.contracts.step_results import StoredResult
from orchestration.definitions.expressions import (
    AllOf,
    AnyOf,
    Condition,
    Missing,
    Not,
    reference_of,
    values_along,
)


def references_in(value: Any) -> Iterator[str]:
    """Yield the references in a value that is to be filled."""
    ref = reference_of(value)
    if ref is not None:
        yield ref
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from references_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from references_in(each)


def references_of(condition: Condition) -> Iterator[str]:
    """Yield the references of a condition."""
    if isinstance(condition, AllOf | AnyOf):
        for each in condition.all if isinstance(condition, AllOf) else condition.any:
            yield from references_of(each)
    elif isinstance(condition, Not):
        yield from references_of(condition.condition)
    else:
        yield condition.ref


def results_named(references: Iterable[str], results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results that references name, of those that there are."""
    names = {ref.partition(".")[0] for ref in references}
    return {name: result for name, result in results.items() if name in names}


def stored_behind(references: Iterable[str], results: Mapping[str, Any]) -> list[StoredResult]:
    """Return the results in the store that are needed to know the values of references, each once."""
    needed = dict[str, StoredResult]()
    for ref in references:
        value = None
        try:
            for value in values_along(ref, results):
                if (stored := StoredResult.of(value)) is not None:
                    needed[stored.id] = stored
        except Missing:
            continue  # it is missing, unless that is known only of what is stored
        needed |= {each.id: each for each in stored_in(value)}
    return list(needed.values())


def stored_in(value: Any) -> Iterator[StoredResult]:
    """Yield the references to the store in a value, such as the results of parallel steps."""
    if (stored := StoredResult.of(value)) is not None:
        yield stored
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from stored_in(each)


def with_loaded(value: Any, loaded: Mapping[str, Any]) -> Any:
    """Return a value with what was loaded, by id, in the place of references to the store."""
    stored = StoredResult.of(value)
    if stored is not None:
        return loaded.get(stored.id, value)
    if isinstance(value, Mapping) and loaded:
        return {name: with_loaded(each, loaded) for name, each in value.items()}
    return value
