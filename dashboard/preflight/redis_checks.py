"""Redis: whether it passes messages, where one is set."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from redis import Redis, RedisError

from dashboard.preflight.findings import Finding, fail, ok, warn

WITHIN = 3.0
"""Seconds for an answer."""


def redis_findings() -> Iterator[Finding]:
    """Yield whether Redis answers, or that there is none where there may be several web processes."""
    if not settings.REDIS_URL:
        if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
            yield ok("redis", "None is needed by one web process.")
        else:
            message = "REDIS_URL is not set: with a second web process, pages would show changes of the first late."
            yield warn("redis", message, "Set REDIS_URL, or run one web process.")
        return
    where = urlsplit(settings.REDIS_URL)
    place = f"{where.scheme}://{where.hostname}:{where.port or 6379}"
    try:
        with Redis.from_url(settings.REDIS_URL, socket_timeout=WITHIN, socket_connect_timeout=WITHIN) as client:
            client.ping()
    except (RedisError, OSError, ValueError) as error:
        yield fail("redis", f"{place}: {error}", "Check REDIS_URL and the server.")
    else:
        yield ok("redis", f"{place} answers.")
