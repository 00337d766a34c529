"""Django's handler of requests, except for where bodies wait, and that the route is noted for metrics and the log.

Bodies wait on the disk of the uploads, not in the system's /tmp.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest

from dashboard.metrics.requests import note_route


def spool() -> IO[bytes]:
    """Return a file without a name on the disk of the uploads, in a folder that nobody else may read."""
    return tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)


class Handler(ASGIHandler):
    """Django's, except for the route and for where a body that is too large for memory is written as it arrives.

    How large it may be is for `limits.bodies`, which receives it: `receive` raises as soon as it is larger.
    """

    def resolve_request(self, request: HttpRequest) -> Any:
        """Return the view of a request, and note its route."""
        match = super().resolve_request(request)
        note_route(request)
        return match

    async def read_body(self, receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> IO[bytes]:
        """Return the body of a request, from its beginning. Raises RequestAborted, and what `receive` raises."""
        most, folder = settings.FILE_UPLOAD_MAX_MEMORY_SIZE, str(settings.FILE_UPLOAD_TEMP_DIR)
        body: IO[bytes] = tempfile.SpooledTemporaryFile(most, dir=folder)  # noqa: SIM115  Django closes it
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestAborted
                body.write(message.get("body", b""))
                if not message.get("more_body", False):
                    break
        except BaseException:
            body.close()
            raise
        body.seek(0)
        return body
