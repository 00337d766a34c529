"""Guessed passwords: when they lock an address, and when an account."""

from __future__ import annotations

from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest

SHARE = 2
"""How many addresses it takes at least to lock an account for everybody: one alone counts for a part of the limit."""


class GuessHandler(AxesDatabaseHandler):
    """Locks an address, and an account for everybody where several addresses guess its password.

    Where one address could lock an account, anybody could keep anybody out.
    """

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return how near a log-in is to AXES_FAILURE_LIMIT: by its address or by its account, whichever is nearer."""
        of_account, of_address = self.get_user_attempts(request, credentials)  # as AXES_LOCKOUT_PARAMETERS has them
        most = -(-settings.AXES_FAILURE_LIMIT // SHARE)
        by_address = of_account.order_by().values("ip_address").annotate(failures=Sum("failures_since_start"))
        guesses = sum(min(int(each["failures"]), most) for each in by_address)
        own = of_address.aggregate(failures=Sum("failures_since_start"))["failures"]
        return max(guesses, int(own or 0))
