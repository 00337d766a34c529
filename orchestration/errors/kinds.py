"""Kinds of error: what an operator would treat differently, told from the type that a failure carries. Pure."""

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
    ErrorKind.APPLICATION: "The work itself failed. Retry once its cause is gone.",
    ErrorKind.VALIDATION: "The item is not what the processor takes, so it is not retried: mend it, launch again.",
    ErrorKind.TIMEOUT: "It took too long. Retry, or allow more time.",
    ErrorKind.CANCELED: "Somebody stopped it. Retry to run it after all.",
    ErrorKind.TERMINATED: "Somebody ended it at once, or its parent was ended. Retry to run it again.",
    ErrorKind.ITEMS: "Some of its items failed: each says why.",
    ErrorKind.SKIPPED: "It was left out on purpose. Retry to run it after all.",
    ErrorKind.SETUP: "The worker cannot do this: look at its version, its processors and the batch's parameters.",
}

KINDS = {
    "ValidationError": ErrorKind.VALIDATION,
    "Timeout": ErrorKind.TIMEOUT,
    "Canceled": ErrorKind.CANCELED,
    "Terminated": ErrorKind.TERMINATED,
    "ItemsFailed": ErrorKind.ITEMS,
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
    return KINDS.get(error_type, ErrorKind.APPLICATION)
