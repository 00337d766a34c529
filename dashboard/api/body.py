"""Reads the bodies of requests: JSON as its standard has it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

from dashboard.inputs.strict_json import check_value, read_lenient

ITEMS = "items"
"""The field whose entries are checked one by one, so that an error names the item."""


class StrictParser(Parser):
    """Parses JSON bodies; every error is an InvalidJson with a sentence."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Return the body. Raises InvalidJson."""
        body = read_lenient(request.body)
        rest = {name: value for name, value in body.items() if name != ITEMS} if isinstance(body, dict) else body
        check_value(rest)
        return body
