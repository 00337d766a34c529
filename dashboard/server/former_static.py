"""Static files of other releases: while processes of two serve pages, each answers for the files of both.

A page of one release may ask a process of the other for its scripts, and for a module hours later. Each process keeps
its own files by their hashed names in the database, and looks there for what it does not have.
"""

from __future__ import annotations

import asyncio
import logging
import mimetypes
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import sync_and_async_middleware

from dashboard.database.threads import in_thread
from dashboard.models import StaticFile
from dashboard.server.outages import log_failure

log = logging.getLogger(__name__)

HASHED = re.compile(r"(?P<name>.+)\.[0-9a-f]{12}(?P<ending>\.[a-z0-9]+)")
LARGEST = 256 * 1024
"""Bytes of a file that is kept: all of ours, and not the bundles of the API's documentation."""

KEPT_FOR = timedelta(days=30)
"""After a process of their release has last said that it serves them."""

KEEP_EVERY = 12 * 3600.0
"""Seconds."""

FOR_EVER = "max-age=315360000, public, immutable"
"""As whitenoise says of hashed names."""


def keep_static_files() -> None:
    """Keep this process's static files for processes of other releases, and forget old ones."""
    now = timezone.now()
    names = sorted({*getattr(staticfiles_storage, "hashed_files", {}).values()})
    known = {*StaticFile.objects.filter(name__in=names).values_list("name", flat=True)}
    StaticFile.objects.filter(name__in=known).update(served_at=now)
    for name in names:
        if name not in known and staticfiles_storage.exists(name) and staticfiles_storage.size(name) <= LARGEST:
            with staticfiles_storage.open(name) as file:
                made = StaticFile(name=name, content=file.read(), served_at=now)
            StaticFile.objects.bulk_create([made], ignore_conflicts=True)
    StaticFile.objects.filter(served_at__lt=now - KEPT_FOR).delete()


async def run_static_keeper() -> None:
    """Keep them for as long as the process lives."""
    while True:
        try:
            await in_thread(keep_static_files)()
        except Exception as error:
            log_failure(log, "Static files are kept later for processes of other releases.", error=error)
            await asyncio.sleep(5)
        else:
            await asyncio.sleep(KEEP_EVERY)


@sync_and_async_middleware
def former_static(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware behind whitenoise: answers for static files of other releases, or with what is nearest to them."""
    if iscoroutinefunction(get_response):

        async def answered(request: HttpRequest) -> Any:
            if (name := _hashed_name(request)) and (found := await sync_to_async(_answer)(name)) is not None:
                return found
            return await get_response(request)

        return answered

    def answered_at_once(request: HttpRequest) -> Any:
        if (name := _hashed_name(request)) and (found := _answer(name)) is not None:
            return found
        return get_response(request)

    return answered_at_once


def _hashed_name(request: HttpRequest) -> str:
    prefix = f"/{(settings.STATIC_URL or '').strip('/').rpartition('/')[2]}/"
    name = request.path_info.removeprefix(prefix)
    is_asked = request.method in ("GET", "HEAD") and name != request.path_info
    return name if is_asked and HASHED.fullmatch(name) else ""


def _answer(name: str) -> HttpResponse | None:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    content = StaticFile.objects.filter(name=name).values_list("content", flat=True).first()
    if content is not None:
        return HttpResponse(bytes(content), content_type=kind, headers={"Cache-Control": FOR_EVER})
    parts = HASHED.fullmatch(name)
    assert parts is not None
    nearest = getattr(staticfiles_storage, "hashed_files", {}).get(parts["name"] + parts["ending"])
    if nearest is None or not staticfiles_storage.exists(nearest):
        return None
    with staticfiles_storage.open(nearest) as file:
        return HttpResponse(file.read(), content_type=kind, headers={"Cache-Control": "no-cache"})
