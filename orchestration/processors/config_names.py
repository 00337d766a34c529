"""Names by which batches refer to what an installation configures for its workers: secrets, databases, file stores."""

from __future__ import annotations

import re

from pydantic import AfterValidator

NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")


def named(what: str, example: str) -> AfterValidator:
    """Return the validator of a parameter that is such a name. `what` it names has an article: a connection."""

    def check(given: str) -> str:
        if not NAME.fullmatch(given):
            raise ValueError(f"Enter the name of {what}, such as {example}.")
        return given

    return AfterValidator(check)
