"""What a parameter's `json_schema_extra` says about its field in the launch form."""

from __future__ import annotations

from typing import Any

from orchestration.plan.options import DURATION as DURATION  # seconds; the form shows a number with its unit

ADVANCED: dict[str, Any] = {"advanced": True}
"""A parameter that few launches set: the form shows it under "Advanced"."""
