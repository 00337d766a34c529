"""Outages: what an error says about a neighbour that is away, whatever the error's form."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator
from enum import Enum, auto

from dashboard.database import away as database
from dashboard.database.fencing import Replaced
from dashboard.metrics import definitions as metrics
from orchestration.contracts.stores import StoreAway
from orchestration.errors.texts import first_line
from orchestration.temporal import connection as temporal


class UploadsAway(StoreAway):
    """The bucket of uploads does not answer, or with an error."""


class Outage(Enum):
    """Why a request cannot be answered now, and may be in a moment."""

    DATABASE = auto()
    """The database cannot be reached, or refuses for now."""

    TEMPORAL = auto()
    """Temporal cannot be reached."""

    AWAY = auto()
    """Something else cannot be reached, such as Redis, or a limit of Temporal is."""

    TOO_SLOW = auto()
    """The database stopped a statement that took too long."""

    NO_SPACE = auto()
    """The dashboard's own disk, or the file system it has mounted, is full or does not answer."""


NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE}
UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.ETIMEDOUT}


def outage_of(error: BaseException | None) -> Outage | None:
    """Return which outage an error, what caused it, or one of a group tells of; None for an error of Canopy's own."""
    return next((found for each in _causes(error) if (found := _told_by(each)) is not None), None)


def count_outage(outage: Outage) -> None:
    """Count what failed because of an outage."""
    metrics.outages.labels(outage.name.lower()).inc()


def log_failure(log: logging.Logger, message: str, *given: object, error: Exception) -> None:
    """Log what failed: a line where it was an outage or another process does it by now, with a stack elsewhere."""
    if (outage := outage_of(error)) is not None:
        count_outage(outage)
    if outage is None and not isinstance(error, Replaced):
        log.error(message, *given, exc_info=error)
    else:
        log.warning(f"{message} %s", *given, first_line(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, those of a group, and what it was raised from or while handling."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _causes(each)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _told_by(error: BaseException) -> Outage | None:
    if isinstance(error, UploadsAway):
        return Outage.AWAY
    if database.is_cut(error):
        return Outage.TOO_SLOW
    if database.is_away(error) or isinstance(error, StoreAway):
        return Outage.DATABASE
    if temporal.is_away_or_busy(error):
        return Outage.AWAY if isinstance(error, temporal.TemporalBusy) else Outage.TEMPORAL
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror) or type(error).__module__.startswith(
        "redis."
    ):
        return Outage.AWAY
    if isinstance(error, OSError) and error.errno in NO_SPACE | UNREACHABLE:
        return Outage.NO_SPACE if error.errno in NO_SPACE else Outage.AWAY
    return None
