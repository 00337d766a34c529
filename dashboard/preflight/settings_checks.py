"""Settings: what does not go together, and what is unsafe where others reach the dashboard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage

from dashboard.environment import is_loopback
from dashboard.preflight.findings import Finding, fail, ok, warn
from orchestration.startup import CannotStart, prepare

SHORTEST_KEY = 50
"""Characters of a secret key that nobody guesses; Django's own measure."""


def settings_findings() -> Iterator[Finding]:
    """Yield what there is to say about settings alone."""
    yield _secret_key()
    found = [*_exposure(), *map(_of_django, checks.run_checks()), *_processors()]
    yield from found or [ok("settings", "They go together.")]


def is_exposed() -> bool:
    """Whether others than this machine reach the dashboard, by its address or what it listens on."""
    host = urlsplit(settings.CANOPY_URL).hostname or ""
    return not (is_loopback(host) and is_loopback(settings.LISTENS_ON))


def _secret_key() -> Finding:
    given = any(os.environ.get(name) for name in ("CANOPY_SECRET_KEY", "SECRET_KEY"))
    if given and len(settings.SECRET_KEY) < SHORTEST_KEY:
        fix = "Use 50 or more characters by chance: python -c 'import secrets; print(secrets.token_urlsafe(64))'."
        return warn("secret key", f"CANOPY_SECRET_KEY has {len(settings.SECRET_KEY)} characters.", fix)
    if given:
        return ok("secret key", "CANOPY_SECRET_KEY is set.")
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3":
        message = f"It is generated and kept in {settings.HOME}: a web process on another machine would have another."
        return warn("secret key", message, "Set CANOPY_SECRET_KEY, the same everywhere.")
    return ok("secret key", f"It is generated and kept in {settings.HOME / 'secret-key'}.")


def _exposure() -> Iterator[Finding]:
    if not is_exposed():
        return
    if settings.DEBUG:
        yield fail("settings", "CANOPY_DEBUG shows source and settings to whoever causes an error.", "Unset it.")
    if not settings.HTTPS:
        message = "Others reach the dashboard over plain HTTP: passwords and sessions can be read on the way."
        yield warn("settings", message, "End TLS at a proxy and set CANOPY_URL to its https:// address.")
    if "*" in settings.ALLOWED_HOSTS:
        yield warn("settings", "ALLOWED_HOSTS has *: links may name any host.", "Name the hosts that browsers use.")


def _of_django(message: CheckMessage) -> Finding:
    kind = fail if message.level >= checks.ERROR else warn
    return kind("settings", f"{message.msg} ({message.id})", message.hint or "")


def _processors() -> Iterator[Finding]:
    try:
        prepare()
    except CannotStart as error:
        yield fail("processors", str(error), "Check CANOPY_PROCESSORS and CANOPY_PAYLOAD_KEYS.")
