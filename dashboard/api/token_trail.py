"""What API tokens are used for: an entry for each request that changes something; of a worker, for the first."""

from __future__ import annotations

import logging
import re
import threading

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase

from dashboard.accounts.api_tokens import note_use
from dashboard.accounts.audit import record
from dashboard.api.auth import token_of_request
from dashboard.models import Batch, TokenKind
from dashboard.server.client_address import client_address
from dashboard.server.recently_used import RecentlyUsed
from orchestration.errors.texts import first_line

log = logging.getLogger(__name__)

OF_PROGRAMS = re.compile(r"/(worker/|watches/events$)")
"""Routes that a program calls all the time, also with a person's token."""

SAFE = ("GET", "HEAD", "OPTIONS")
KEPT = 20_000
LONGEST_REASON = 300

_seen = RecentlyUsed[tuple[str, str, str, str], bool](KEPT)
_lock = threading.Lock()


def note_request(request: HttpRequest, route: str, response: HttpResponseBase) -> None:
    """Record what a token was used for, unless it only read; what a worker does again and again is recorded once."""
    token = token_of_request(request)
    if token is None or (request.method in SAFE and response.status_code not in (401, 403)):
        return
    subject = str(next(iter((request.resolver_match.kwargs if request.resolver_match else {}).values()), ""))
    again_and_again = token.kind != TokenKind.PERSON or OF_PROGRAMS.search(route)
    if again_and_again and _is_known((token.digest, route, subject, str(response.status_code))):
        return
    try:
        note_use(token, f"{request.method} {route}", subject, response.status_code, client_address(request))
    except DatabaseError as error:  # the answer may be that there is no database
        log.warning("The use of the token %s is not recorded: %s", token, first_line(error))


def note_work(request: HttpRequest, batch_id: str, refusal: str) -> None:
    """Record in a batch's audit log that a worker works on it, or that it was refused, once each."""
    token = token_of_request(request)
    if token is None or _is_known((token.digest, "work", batch_id, refusal)):
        return
    batch = Batch.objects.filter(pk=batch_id).first()
    if batch is None:
        return
    scope = "refused" if refusal else ", ".join(token.queues)
    outcome = f"Refused: {refusal[:LONGEST_REASON]}" if refusal else "Accepted."
    if not batch.audit.filter(action="work", token=token.name, person=token.person, outcome=outcome).exists():
        record(token.person, batch, "work", scope, outcome)


def _is_known(key: tuple[str, str, str, str]) -> bool:
    """Whether this process has noted it already."""
    with _lock:
        is_known = key in _seen
        _seen[key] = True
        return is_known
