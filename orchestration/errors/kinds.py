"""Kinds of error: groups that an operator treats differently, by the type that a failure carries. Pure."""

from __future__ import annotations

from enum import StrEnum


class ErrorKind(StrEnum):
    """What went wrong, as a whole."""

    APPLICATION = "application"
    VALIDATION = "validation"
    TIMEOUT = "timeout"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    ITEMS = "items"
    SKIPPED = "skipped"
    SETUP = "setup"

    @property
    def advice(self) -> str:
        """Return in a sentence what to do about it."""
        return ADVICE[self]


ADVICE = {
    ErrorKind.APPLICATION: "The work itself failed. Retry once the cause is fixed.",
    ErrorKind.VALIDATION: (
        "The processor does not accept this item, so it is not retried: fix the item and launch again."
    ),
    ErrorKind.TIMEOUT: "It took too long. Retry, or allow more time.",
    ErrorKind.CANCELED: "It was canceled. Retry to run it after all.",
    ErrorKind.TERMINATED: "It or its parent was terminated. Retry to run it again.",
    ErrorKind.ITEMS: "Some of its items failed: see the error of each item.",
    ErrorKind.SKIPPED: "It was skipped on purpose. Retry to run it after all.",
    ErrorKind.SETUP: "The worker cannot run this: check its version, its processors and the batch's parameters.",
}

NEEDS_CHANGE = frozenset({ErrorKind.VALIDATION, ErrorKind.SETUP})
"""Kinds that a retry alone does not mend: something has to be changed before it."""

FINAL_ADVICE = "The same attempt fails again: correct the item or the configuration first, then retry or launch again."
"""Of a type of error after which processor or plan do not try again by themselves."""

KIND_OF_ERROR_TYPE = {
    "ValidationError": ErrorKind.VALIDATION,
    "Timeout": ErrorKind.TIMEOUT,
    "Canceled": ErrorKind.CANCELED,
    "Terminated": ErrorKind.TERMINATED,
    "RunLost": ErrorKind.TERMINATED,
    "ItemsFailed": ErrorKind.ITEMS,
    "ResultsMissing": ErrorKind.ITEMS,
    "CircuitOpen": ErrorKind.SKIPPED,
    "Joined": ErrorKind.SKIPPED,
    "Forgiven": ErrorKind.SKIPPED,
    "LeftOut": ErrorKind.SKIPPED,
    "NothingToProcess": ErrorKind.SETUP,
    "UnknownProcessor": ErrorKind.SETUP,
    "InvalidParameters": ErrorKind.SETUP,
}
"""By the type of a Failure; any other type is the processor's own."""


def error_kind(error_type: str) -> ErrorKind:
    """Return the kind of an error by its type."""
    return KIND_OF_ERROR_TYPE.get(error_type, ErrorKind.APPLICATION)
