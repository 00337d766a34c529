"""The attack on one database, in this process: prints how many requests were answered with what, and each 5xx."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

import django

django.setup()

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as generation
from hypothesis import strategies as st

from tests.fuzz.asgi_client import Sent, answer
from tests.fuzz.inputs import NAMES, attacks, documented

AWAY = 503
"""The status while Temporal is away, which is no fault of the request."""

UNKNOWN = 401
"""The status without a login that counts."""


SLOW = 5.0
"""Seconds after which an answer is printed too."""


FORMS: tuple[str, ...] = (
    "/launch/simulate/",
    "/launch/http_request/",
    "/schedules/new/",
    "/definitions/new/",
    "/notifications/",
)
FORMS += ("/batches/", "/batches/{batch_id}/results/", "/batches/{batch_id}/", "/watch/", "/password/")
"""Pages whose fields are attacked."""


PROGRESS = 500
"""Inputs after which it says how far it is."""


def log_in(person: User) -> dict[str, bytes]:
    """Return headers of a login: a session for pages, and a token for the API."""
    from django.test import Client

    from dashboard.accounts.api_tokens import create_token

    browser = Client()
    browser.force_login(person)
    session = f"sessionid={browser.cookies['sessionid'].value}"
    return {"Authorization": f"Bearer {create_token(person, 'fuzz')}".encode(), "Cookie": session.encode()}


def prepare() -> tuple[User, dict[str, str], list[str]]:
    """Make a database with a person and a batch.

    Return the person, values of parameters that exist, and names of fields.
    """
    from django.test import Client

    from tests.support import builders

    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    call_command("migrate", verbosity=0)
    person = builders.make_person("olga")
    batch = builders.make_batch(person, 4)
    browser = Client()
    browser.force_login(person)
    node = str(builders.child_of(batch, 0).pk)
    known = {"batch_id": batch.pk, "node_id": node, "name": "simulate", "form": "csv", "index": "0", "number": "1"}
    pages = "".join(browser.get(each.format(**known), follow=True).content.decode() for each in FORMS)
    names = sorted({*NAMES, *re.findall(r' name="([^"]+)"', pages)})
    return person, known, names


def attack(inputs: int, chosen: int, requests: st.SearchStrategy[Sent], person: User) -> Counter[int]:
    """Send so many requests, most of them logged in; return how many were answered with each status.

    A request may end the login of those after it: a refused one is sent again with a new login.
    """
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if not each.endswith("CsrfViewMiddleware")]
    from dashboard.asgi import router  # it loads the middleware

    found, loop, login = Counter[int](), asyncio.new_event_loop(), log_in(person)

    @seed(chosen)
    @generation(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests, st.sampled_from([*range(1, 12), 0]))
    def send(sent: Sent, stranger: int) -> None:
        began = time.monotonic()
        whole = _logged_in(sent, login if stranger else {})
        status = loop.run_until_complete(answer(router, whole))
        if stranger and (status == UNKNOWN or found.total() % PROGRESS == 0):
            login.update(log_in(person))
            whole = _logged_in(sent, login)
            status = loop.run_until_complete(answer(router, whole))
        found[status] += 1
        if found.total() % PROGRESS == 0:
            print(f"{settings.DATABASES['default']['ENGINE']}: {found.total()}: {dict(found)}", flush=True)
        if (seconds := time.monotonic() - began) > SLOW:
            print(f"{seconds:.1f} s: {whole}", flush=True)
        if status >= 500 and status != AWAY:
            print(f"{status}: {whole}", flush=True)

    send()
    return found


def _logged_in(sent: Sent, login: dict[str, bytes]) -> Sent:
    """Return a request with the header that logs it in: of the API its token, of pages their session."""
    name = "Authorization" if sent.target.startswith(b"/api/") else "Cookie"
    own = {name: login[name]} if login else {}
    return Sent(sent.method, sent.target, {**own, **sent.headers}, sent.body)


def main(arguments: Sequence[str]) -> int:
    """Attack with half of the requests from the API's document; return 1 if any made a 5xx."""
    reader = argparse.ArgumentParser(prog="python -m tests.fuzz.attack", description=__doc__)
    reader.add_argument("--inputs", type=int, default=10_000)
    reader.add_argument("--seed", type=int, default=0)
    wanted: Any = reader.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    person, known, names = prepare()
    chosen, began = wanted.seed or random.randrange(1, 2**32), time.monotonic()
    found = attack(wanted.inputs - wanted.inputs // 2, chosen, attacks(known, names), person)
    found += attack(wanted.inputs // 2, chosen, documented(known), person)
    vendor = settings.DATABASES["default"]["ENGINE"].rpartition(".")[2]
    failed = sum(number for status, number in found.items() if status >= 500 and status != AWAY)
    by_status = ", ".join(f"{status}: {number}" for status, number in sorted(found.items()))
    seconds = time.monotonic() - began
    print(f"{vendor}: {found.total()} inputs in {seconds:.0f} s, seed {chosen}, {failed} made a 5xx ({by_status})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
