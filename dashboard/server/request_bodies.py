"""Where bodies of requests wait until a view has them: on the disk of the uploads, not in the system's /tmp."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler


def spool() -> IO[bytes]:
    """Return a file without a name on the disk of the uploads, in a folder that nobody else may read."""
    return tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)


class Handler(ASGIHandler):
    """Django's, except for where a body that is too large for memory is written as it arrives.

    How large it may be is for `limits.bodies`, which receives it: `receive` raises as soon as it is larger.
    """

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
