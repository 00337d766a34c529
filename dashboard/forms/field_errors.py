"""Pydantic errors as messages beside a form field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.i18n.formatting import said


def plain_words(problem: Mapping[str, Any]) -> str:
    """Return a pydantic error without pydantic's prefix."""
    return str(said(str(problem["msg"]).removeprefix("Value error, ")))
