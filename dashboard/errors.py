"""Errors that a person or an API client is shown: a refused operation, and invalid fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from dashboard.i18n.formatting import StrOrPromise, numeral, translated
from orchestration.temporal.commands import Inquiry, OutcomeUnknown
from orchestration.temporal.connection import (
    BatchNotRunning,
    BatchRunning,
    HistoryGone,
    StateTooLarge,
    TemporalBusy,
    TemporalRefused,
    TemporalUnavailable,
)

REFUSAL_STATUSES = {"FAILED_PRECONDITION": 409, "INVALID_ARGUMENT": 422}
"""HTTP statuses by the gRPC status of a refusal. The others are about Canopy's own rights, not those of a person."""


MOST_REASONS = 100
"""Errors by field of one request that are said."""


class OperationError(Exception):
    """An operation that was refused or failed, and nothing was done: a message and an HTTP status.

    Only of a NotKnownYet may something have been done.
    """

    def __init__(self, message: StrOrPromise, status_code: int) -> None:
        super().__init__(message)
        self.message = str(message)
        self.status_code = status_code


class NotKnownYet(OperationError):
    """A request that was not answered in time: it may have been done, or may still be.

    `inquiries` are what Temporal is asked for later. `operation` is the id of the operation whose outcome it is.
    """

    def __init__(self, message: StrOrPromise, inquiries: Sequence[Inquiry] = (), operation: str = "") -> None:
        super().__init__(message, 504)
        self.inquiries, self.operation = inquiries, operation


@contextmanager
def temporal_errors() -> Iterator[None]:
    """Turn what a request to Temporal raises into OperationErrors.

    409 for the wrong state, 503 for no connection or a limit, 504 (NotKnownYet) for no answer, 409, 422 or 502 for a
    refusal.
    """
    try:
        yield
    except BatchRunning as error:
        raise OperationError(str(error), 409) from error
    except BatchNotRunning as error:
        raise OperationError(_("The batch is not running."), 409) from error
    except (HistoryGone, StateTooLarge) as error:
        raise OperationError(_why_it_cannot_go_on(error), 409) from error
    except OutcomeUnknown as error:
        raise NotKnownYet(_not_known_yet(error), error.inquiries) from error
    except TemporalRefused as error:
        status = REFUSAL_STATUSES.get(error.status.name, 502)
        raise OperationError(_("%(error)s Nothing was changed.") % {"error": error}, status) from error
    except TemporalBusy as error:
        raise OperationError(
            _("%(error)s Nothing was changed; try again in a moment.") % {"error": error}, 503
        ) from error
    except TemporalUnavailable as error:
        raise OperationError(
            _("%(error)s Nothing was changed; try again in a moment.") % {"error": error}, 503
        ) from error


def _not_known_yet(error: OutcomeUnknown) -> str:
    if error.inquiries:
        text = _(
            "%(error)s It is not known yet whether this was done. Canopy keeps looking, and the page shows what "
            "came of it."
        )
    else:
        text = _("%(error)s It is not known whether this was done: look at the page before you repeat it.")
    return text % {"error": error}


def _why_it_cannot_go_on(error: HistoryGone | StateTooLarge) -> str:
    if isinstance(error, StateTooLarge):
        return _(
            "The steps of this batch have returned %(size)s bytes, more than Temporal takes at once, so it cannot "
            "continue where it stopped. Nothing was changed; launch it again, and let steps return where data is."
        ) % {"size": numeral(error.size)}
    return _(
        "Temporal no longer has the history of this batch, and with it what its steps returned, so it cannot "
        "continue where it stopped. Nothing was changed; launch it again instead."
    )


class FieldErrors(Exception):
    """A request that cannot be accepted as it is, and nothing was done: {field: reasons}."""

    def __init__(self, errors: Mapping[str, str | Sequence[str]]) -> None:
        self.errors = {
            name: [reasons] if isinstance(reasons, str) else list(reasons) for name, reasons in errors.items()
        }
        super().__init__(" ".join(reason for reasons in self.errors.values() for reason in reasons))

    def below(self, prefix: str) -> FieldErrors:
        """Return the same errors of the fields of a part: `window` below `plan` is `plan.window`."""
        return FieldErrors({f"{prefix}.{name}": reasons for name, reasons in self.errors.items()})


def reasons_by_field(problems: Iterable[Mapping[str, Any]], *, below: str = "") -> dict[str, list[str]]:
    """Return pydantic's errors (`ValidationError.errors()`) as {dotted path: reasons}.

    Reasons are in the reader's language where they are translated, and without pydantic's prefix. An error of the
    whole model has the path `below`. There are MOST_REASONS at most: to say each of a million takes half a minute.
    """
    found = dict[str, list[str]]()
    for problem in islice(problems, MOST_REASONS):
        path = ".".join([*([below] if below else []), *map(str, problem["loc"])])
        found.setdefault(path, []).append(str(translated(str(problem["msg"]).removeprefix("Value error, "))))
    return found
