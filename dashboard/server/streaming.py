"""Streaming responses, sent in parts while they are produced, and lines of CSV to send."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

from dashboard.database.threads import drop_old_connections

PART_SIZE = 64 * 1024
"""Bytes that are sent together: sending row by row would cost more than producing the rows."""


def stream(parts: Iterable[str | bytes], content_type: str, name: str = "") -> StreamingHttpResponse:
    """Return a response of parts that are produced while it is sent; with a name it is a download.

    The first part is produced at once, and what it raises is raised: the status says whether it worked. Where a later
    one fails the connection is closed before the body's last chunk, which a client sees. No database connection is held
    while the client reads.
    """
    iterator = iter(parts)
    response = StreamingHttpResponse(_sent(_take(iterator), iterator), content_type=content_type)
    if name:
        response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


async def _sent(first: bytes, iterator: Iterator[str | bytes]) -> AsyncIterator[bytes]:
    """Yield what is to be sent. Django under ASGI would consume a synchronous iterator before it sends anything."""
    part = first
    while part:
        yield part
        part = await sync_to_async(_take)(iterator)


def _take(iterator: Iterator[str | bytes]) -> bytes:
    """Return the next PART_SIZE bytes or more, none at the end, and give the database connection back."""
    taken, size = list[bytes](), 0
    try:
        for part in iterator:
            taken.append(part.encode() if isinstance(part, str) else part)
            size += len(taken[-1])
            if size >= PART_SIZE:
                break
    finally:
        drop_old_connections()
    return b"".join(taken)


class _Echo:
    """A file for csv.writer, whose write returns the row."""

    def write(self, value: str) -> str:
        return value


def csv_writer(quoting: Any = csv.QUOTE_MINIMAL) -> Any:
    """Return a csv.writer whose `writerow` returns the line."""
    return csv.writer(_Echo(), quoting=quoting)
