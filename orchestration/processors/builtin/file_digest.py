"""file_digest: what a file of a configured folder or bucket is: size, checksum, type, lines, what an image shows."""

from __future__ import annotations

import base64
import hashlib
import io
import mimetypes
from functools import cached_property
from typing import Literal

import puremagic
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from orchestration.processors.data.file_stores import VARIABLE, NoSuchFile, StoreMissing, StoreName, opened
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor

HEAD = 4_096
"""Bytes that a type is told from."""

SURE = 0.7
"""What puremagic's confidence has to be: below it is a guess from a byte or two."""

IMAGE_BYTES = 50_000_000
IMAGE_PIXELS = 100_000_000
"""A larger image has no thumbnail: it would take that many times four bytes of memory."""

THUMBNAIL = (96, 96)
"""Pixels, at most."""


class File(BaseModel):
    """One file, by its path below the store's folder or prefix. A plain line is the path."""

    model_config = ConfigDict(extra="allow")

    path: str = Field(title="Path", min_length=1, max_length=1_024)


class DigestParameters(BaseModel):
    """Where the files lie, and what is wanted of them."""

    model_config = ConfigDict(extra="forbid")

    store: StoreName = Field(description=f"Name of a configured file store, such as ARCHIVE for {VARIABLE}ARCHIVE.")
    checksum: Literal["sha256", "sha1", "md5", "blake2b"] = Field(default="sha256", title="Checksum")
    thumbnails: bool = Field(
        default=True, title="Thumbnails", description="Thumbnails of images, shown with the results."
    )


class FileDigest(BaseModel):
    """Size in bytes; checksum in hexadecimal; lines of a text; width, height and a small picture of an image."""

    path: str
    size: int
    checksum: str
    mime: str
    lines: int | None = None
    width: int | None = None
    height: int | None = None
    thumbnail: str | None = None


@processor(
    name="file_digest",
    title="File digest",
    summary="Read files from a configured folder or S3-compatible bucket: size, checksum, type, lines, and a "
    "thumbnail of images.",
    key="path",
    non_retryable=(StoreMissing, NoSuchFile),
    icon="finger-print",
    example="invoices/2026-11.pdf\nscans/0001.jpg",
    default_plan={"chunk_size": 20, "item_timeout": 600},
)
def file_digest(item: File, parameters: DigestParameters, context: ItemContext) -> FileDigest:
    """Read a file once, in parts, and say what it is."""
    with opened(parameters.store, item.path) as file:
        reader = _Reader(parameters.checksum, item.path)
        for part in file.parts:
            if context.is_canceled:
                break
            reader.take(part)
            context.progress(reader.size, file.size, "bytes")
    found = FileDigest(path=item.path, size=reader.size, checksum=reader.checksum, mime=reader.mime, lines=reader.lines)
    return _with_picture(found, bytes(reader.image), wanted=parameters.thumbnails) if reader.image else found


class _Reader:
    """What is told from a file's parts as they come."""

    def __init__(self, checksum: str, path: str) -> None:
        self._hash, self._path = hashlib.new(checksum, usedforsecurity=False), path
        self.size, self.image = 0, bytearray()
        self._newlines, self._last, self._head = 0, b"", b""

    def take(self, part: bytes) -> None:
        """Take the next part; those of an image are kept, unless it is too large."""
        self._head = self._head or part[:HEAD]
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
        """The checksum of all parts."""
        return self._hash.hexdigest()

    @cached_property
    def mime(self) -> str:
        """The type, once the first part has been taken, or of an empty file none has come."""
        return mime_of(self._head, self._path)

    @property
    def lines(self) -> int | None:
        """Lines of a text, the last of which need not end; None for what is no text."""
        if not is_text(self._head):
            return None
        return self._newlines + (self._last not in (b"", b"\n"))


def is_text(head: bytes) -> bool:
    """Whether the first bytes are text in UTF-8, of which the last character may be cut."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
    return b"\0" not in head


def mime_of(head: bytes, path: str) -> str:
    """Return a type by what a file begins with, or else by its name."""
    named = mimetypes.guess_type(path)[0]
    if not head:
        return named or "application/x-empty"
    if is_text(head):
        return named or "text/plain"
    try:
        (best, *_) = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return named or "application/octet-stream"
    if best.mime_type and best.confidence >= SURE:
        return str(best.mime_type)
    return named or best.mime_type or "application/octet-stream"


def _with_picture(found: FileDigest, content: bytes, *, wanted: bool) -> FileDigest:
    """Add what an image shows; one that cannot be read has only what every file has."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            size = {"width": image.width, "height": image.height}
            if not wanted or image.width * image.height > IMAGE_PIXELS:
                return found.model_copy(update=size)
            image.draft("RGB", THUMBNAIL)
            small = ImageOps.exif_transpose(image)
            small.thumbnail(THUMBNAIL)
            written = io.BytesIO()
            small.convert("RGBA" if "A" in small.getbands() else "RGB").save(written, "WEBP", quality=60)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return found
    picture = base64.b64encode(written.getvalue()).decode()
    return found.model_copy(update=size | {"thumbnail": f"data:image/webp;base64,{picture}"})
