"""How large the result of one item may be: results are stored, shown and exported together with all others."""

from __future__ import annotations

import json
import os
from typing import Any

from orchestration.contracts.status import Failure

MAX_RESULT = "CANOPY_MAX_RESULT_BYTES"
"""Environment of workers: bytes of an item's result as JSON."""

MAX_RESULT_DEFAULT = 256 * 1024

_encode = json.JSONEncoder().encode  # json.dumps makes an encoder per call

RESULT_TOO_LARGE = "ResultTooLarge"
"""Type of the failure. Another attempt would return as much."""


def max_result_bytes() -> int:
    """Return the limit. Raises ValueError where the environment has no whole number."""
    return int(os.environ.get(MAX_RESULT, "") or MAX_RESULT_DEFAULT)


def size_failure(result: Any) -> Failure | None:
    """Return the failure of an item whose result is too large; None for any other."""
    size, most = len(_encode(result)), max_result_bytes()
    if size <= most:
        return None
    return Failure(
        RESULT_TOO_LARGE,
        f"The result has {size:,} bytes; at most {most:,} are kept for an item ({MAX_RESULT}). Return less, or write "
        "it where data is, and return where that is.",
    )
