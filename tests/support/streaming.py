"""The content of streamed answers."""

from __future__ import annotations

from typing import Any

import pytest


def streamed_content(answer: Any) -> bytes:
    """Return the whole of an answer that is streamed; the test client reads it all at once, and warns of it."""
    with pytest.warns(Warning, match="asynchronous iterators"):
        return b"".join(answer)
