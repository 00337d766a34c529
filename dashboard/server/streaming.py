"""Streaming responses, sent in parts while they are produced."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

PART_SIZE = 64 * 1024
"""Bytes that are sent together: sending row by row would cost more than producing the rows."""


def stream(parts: Iterable[str | bytes], content_type: str, name: str = "") -> StreamingHttpResponse:
    """Return a response of parts that are produced while it is sent; with a name it is a download.

    Django under ASGI would consume a synchronous iterator before it sends the first byte, so this one is asynchronous.
    """
    response = StreamingHttpResponse(_sent(parts), content_type=content_type)
    if name:
        response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


async def _sent(parts: Iterable[str | bytes]) -> AsyncIterator[bytes]:
    iterator = iter(parts)

    def take() -> bytes:
        taken, size = list[bytes](), 0
        for part in iterator:
            taken.append(part.encode() if isinstance(part, str) else part)
            size += len(taken[-1])
            if size >= PART_SIZE:
                break
        return b"".join(taken)

    # always in the request's own thread, because a cursor may not be read in another
    while part := await sync_to_async(take)():
        yield part
