"""Bounds: what a flow gives to Temporal is kept below the size at which Temporal refuses it.

A result or an input beyond that would fail the workflow task again and again. Workflow code: deterministic.
"""

from __future__ import annotations

import json
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic_core import to_jsonable_python

PAYLOAD_LIMIT = 2_000_000
"""Bytes of JSON: Temporal refuses a payload beyond 2 MiB."""

INPUT_TOO_LARGE = "InputTooLarge"
RESULT_TOO_LARGE = "ResultTooLarge"


def size_of(value: Any) -> int:
    """Return the bytes that a value takes as JSON."""
    text = json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False, separators=(",", ":"))
    return len(text.encode(errors="replace"))


def bounded(results: Any, limit: int = PAYLOAD_LIMIT) -> Any:
    """Return results by name so that they fit together: the largest are replaced by how large they are."""
    if not isinstance(results, dict) or size_of(results) <= limit:
        return results
    sizes = {name: size_of(value) for name, value in results.items()}
    kept, total = dict(results), sum(sizes.values()) + sum(len(name) + 8 for name in results)
    for name in sorted(sizes, key=lambda each: (-sizes[each], each)):
        if total <= limit:
            break
        kept[name] = {"left_out": "too large to be returned", "bytes": sizes[name]}
        total += 80 - sizes[name]
    return kept


def check_input(name: str, value: Any) -> int:
    """Return the bytes of a step's input. Raises ApplicationError where it is larger than Temporal takes."""
    return _check(f"The input of {name}", value, INPUT_TOO_LARGE)


def check_result(name: str, value: Any) -> None:
    """Raise ApplicationError where a step's result is larger than Temporal takes."""
    _check(f"The result of {name}", value, RESULT_TOO_LARGE)


def _check(what: str, value: Any, kind: str) -> int:
    size = size_of(value)
    if size > PAYLOAD_LIMIT:
        message = f"{what} has {size:,} bytes, and Temporal takes {PAYLOAD_LIMIT:,}: let steps return where data is."
        raise ApplicationError(message, type=kind, non_retryable=True)
    return size
