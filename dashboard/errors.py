"""Errors that reach a person: an operation that was refused, and errors by field."""

from __future__ import annotations

from dashboard.i18n.formatting import Words


class Invalid(Exception):
    """A request that cannot be done as it is: what is wrong with which field."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("Some fields are not valid.")
        self.errors = errors


class OperationError(Exception):
    """Why nothing was done: a message for a person and an HTTP status."""

    def __init__(self, message: Words, status_code: int) -> None:
        super().__init__(message)
        self.message = str(message)
        self.status_code = status_code


class DefinitionRefused(Exception):
    """Nothing was saved: which field is wrong and why. What is wrong with a text is DefinitionErrors."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.errors = {field: [message]}


class Refused(Exception):
    """Nothing was done: what is wrong with which field."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("Some fields are not valid.")
        self.errors = errors
