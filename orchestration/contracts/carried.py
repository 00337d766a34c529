"""How a definition travels in inputs and results: compressed where it is large, since a payload has at most 2 MB.

Used by workflow code: deterministic.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

LARGE = 256 * 1024
"""Bytes of JSON from which a definition is compressed; smaller ones can be read in Temporal's own UI."""

MOST_PLAIN = 1_900_000
"""Bytes of JSON: each part of a definition has to fit into an input of its own."""

MOST_CARRIED = 1_400_000
"""Bytes in an input, which also contains a plan and what an earlier run has done."""

DEFLATED = "deflated"


def carried(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition as data as it travels: {"kind", "deflated"} where it is large. `whole` undoes it."""
    plain = _json_of(definition)
    if len(plain) <= LARGE:
        return dict(definition)
    return {"kind": definition["kind"], DEFLATED: base64.b64encode(zlib.compress(plain)).decode("ascii")}


def whole(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a definition as data of what `carried` returned, now or in a release that compressed none."""
    if DEFLATED not in definition:
        return definition
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(definition[DEFLATED])))
    return found


def carried_bytes(definition: Mapping[str, Any]) -> int:
    """Return the bytes that a definition takes in an input."""
    return len(_json_of(carried(definition)))


def plain_bytes(definition: Mapping[str, Any]) -> int:
    """Return the bytes that a definition takes as JSON."""
    return len(_json_of(definition))


def _json_of(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")
