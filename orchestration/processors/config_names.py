"""Names: how forms and batches call what an installation configures beside its workers: secrets, databases, files."""

from __future__ import annotations

import re

from pydantic import AfterValidator

NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")


def named(what: str, example: str) -> AfterValidator:
    """Return the validator of a parameter that is such a name; `what` in words, with its article."""

    def check(given: str) -> str:
        if not NAME.fullmatch(given):
            raise ValueError(f"Enter the name of {what}, such as {example}.")
        return given

    return AfterValidator(check)
