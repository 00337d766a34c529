"""Reading images: their size, and a thumbnail. Runs in a process of its own."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF")
"""That are read. Others have decoders that few use, or start programs, as for PostScript."""

MAX_PIXELS = 20_000_000
"""A larger image is not decoded: that takes four bytes a pixel, and as many again to turn it upright."""

TOO_LARGE = f"No thumbnail: {{:,.1f}} megapixels, at most {MAX_PIXELS // 1_000_000} are decoded."

THUMBNAIL_SIZE = (96, 96)
"""Pixels, at most."""


def read_image(content: bytes, *, thumbnail: bool) -> dict[str, Any]:
    """Return width, height and thumbnail (a data URL) of an image, and a note where it has no thumbnail.

    An image that cannot be read has none of them.
    """
    found: dict[str, Any] = {}
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            found = {"width": image.width, "height": image.height}
            if not thumbnail:
                return found
            if image.width * image.height > MAX_PIXELS:
                return found | {"note": TOO_LARGE.format(image.width * image.height / 1_000_000)}
            return found | {"thumbnail": _thumbnail(image)}
    except UnidentifiedImageError:
        return {"note": f"Not read as an image: it is not one of {', '.join(FORMATS)}."}
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return found | {"note": f"The image cannot be read: {error}"[:200]}


def _thumbnail(image: Image.Image) -> str:
    image.draft("RGB", THUMBNAIL_SIZE)
    small = ImageOps.exif_transpose(image)
    small.thumbnail(THUMBNAIL_SIZE)
    encoded = io.BytesIO()
    small.convert("RGBA" if "A" in small.getbands() else "RGB").save(encoded, "WEBP", quality=60)
    return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode()}"
