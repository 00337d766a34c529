"""file_digest: reads files of a configured folder or bucket: size, checksum, type, lines, image size and thumbnail."""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from functools import cached_property, partial
from typing import Literal

import puremagic
from pydantic import BaseModel, ConfigDict, Field

from orchestration.processors.content.readers import CONTENT_ERRORS, content_readers
from orchestration.processors.data.file_stores import FILE_STORE_PREFIX, StoreName, open_file
from orchestration.processors.data.files import NoSuchFile, StoreMissing
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.processors.threads import processor_threads

HEAD_BYTES = 4_096
"""Bytes from which the type is detected."""

MIN_CONFIDENCE = 0.7
"""Minimum confidence of puremagic: below it, a match is a guess from one or two bytes."""

READ_IMAGE = "orchestration.processors.content.images:read_image"
IMAGE_BYTES = 50_000_000
"""Of a larger file only the digest is made."""


class File(BaseModel):
    """One file, by its path below the store's folder or prefix. A plain line is the path."""

    model_config = ConfigDict(extra="allow")

    path: str = Field(title="Path", min_length=1, max_length=1_024)


class DigestParameters(BaseModel):
    """Where the files lie, and what is wanted of them."""

    model_config = ConfigDict(extra="forbid")

    store: StoreName = Field(
        description=f"Name of a configured file store, such as ARCHIVE for {FILE_STORE_PREFIX}ARCHIVE."
    )
    checksum: Literal["sha256", "sha1", "md5", "blake2b"] = Field(default="sha256", title="Checksum")
    thumbnails: bool = Field(
        default=True, title="Thumbnails", description="Thumbnails of images, shown with the results."
    )


class FileDigest(BaseModel):
    """Size in bytes; checksum in hexadecimal; lines of a text; width, height and thumbnail (a data URL) of an image.

    `note` says why an image has no thumbnail.
    """

    path: str
    size: int
    checksum: str
    mime: str
    lines: int | None = None
    width: int | None = None
    height: int | None = None
    thumbnail: str | None = None
    note: str | None = None


@processor(
    own_loop=False,
    name="file_digest",
    title="File digest",
    summary="Read files from a configured folder or S3-compatible bucket: size, checksum, type, lines, and a "
    "thumbnail of images.",
    key="path",
    non_retryable=(StoreMissing, NoSuchFile, *CONTENT_ERRORS),
    icon="finger-print",
    example="invoices/2026-11.pdf\nscans/0001.jpg",
    default_plan={"chunk_size": 20, "item_timeout": 600},
)
async def file_digest(item: File, parameters: DigestParameters, context: ItemContext) -> FileDigest:
    """Read a file once, in parts, then the image that it is. Raises StoreMissing, NoSuchFile, StoreFailed."""
    read = partial(_read, item, parameters, context)
    try:
        reader: _DigestReader = await processor_threads().run("file_digest", read, context.waiting)
    except asyncio.CancelledError:
        context.cancel()
        raise
    found = FileDigest(path=item.path, size=reader.size, checksum=reader.checksum, mime=reader.mime, lines=reader.lines)
    if not reader.image:
        return found
    said = await content_readers().read(
        "file_digest", READ_IMAGE, bytes(reader.image), context.waiting, thumbnail=parameters.thumbnails
    )
    return found.model_copy(update=said)


def _read(item: File, parameters: DigestParameters, context: ItemContext) -> _DigestReader:
    with open_file(parameters.store, item.path) as file:
        reader = _DigestReader(parameters.checksum, item.path)
        for part in file.parts:
            if context.is_canceled:
                break
            reader.update(part)
            context.progress(reader.size, file.size, "bytes")
    return reader


class _DigestReader:
    """Digest of a file, computed from its parts as they arrive."""

    def __init__(self, checksum: str, path: str) -> None:
        self._hash, self._path = hashlib.new(checksum, usedforsecurity=False), path
        self.size, self.image = 0, bytearray()
        self._newlines, self._last, self._head = 0, b"", b""

    def update(self, part: bytes) -> None:
        """Add the next part. The content of an image is kept, unless it is too large."""
        self._head = self._head or part[:HEAD_BYTES]
        self._hash.update(part)
        self.size += len(part)
        self._newlines += part.count(b"\n")
        self._last = part[-1:]
        if self.size > IMAGE_BYTES:
            self.image.clear()
        elif self.mime.startswith("image/"):
            self.image += part

    @property
    def checksum(self) -> str:
        """Checksum of the parts so far, in hexadecimal."""
        return self._hash.hexdigest()

    @cached_property
    def mime(self) -> str:
        """MIME type. Read it only after the first part, or once the file is known to be empty."""
        return mime_of(self._head, self._path)

    @property
    def lines(self) -> int | None:
        """Lines of a text file, whether or not the last one has a newline; None for other files."""
        if not is_text(self._head):
            return None
        return self._newlines + (self._last not in (b"", b"\n"))


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are UTF-8 text. The last character may be incomplete."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
    return b"\0" not in head


def mime_of(head: bytes, path: str) -> str:
    """Return the MIME type by a file's first bytes; for text, and if they are inconclusive, by its name."""
    by_name = mimetypes.guess_type(path)[0]
    if not head:
        return by_name or "application/x-empty"
    if is_text(head):
        return by_name or "text/plain"
    try:
        (best, *_) = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return by_name or "application/octet-stream"
    if best.mime_type and best.confidence >= MIN_CONFIDENCE:
        return str(best.mime_type)
    return by_name or best.mime_type or "application/octet-stream"
