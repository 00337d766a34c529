"""Streaming: an answer that is sent while it is being made, in parts, whatever its size."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

PART_SIZE = 64 * 1024
"""Bytes that are sent together: a row at a time would cost more than making it."""


def stream(parts: Iterable[str | bytes], content_type: str, name: str = "") -> StreamingHttpResponse:
    """Return an answer of parts that are made as it is sent; with a name it is a download.

    An iterator that is not asynchronous would be read to its end before the first byte is sent (Django, under ASGI).
    """
    answer = StreamingHttpResponse(_sent(parts), content_type=content_type)
    if name:
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


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

    # In the request's own thread, always the same: a cursor may not be read in another one.
    while part := await sync_to_async(take)():
        yield part
