"""Results of steps: large ones lie in the store, and the workflow has a reference with their size instead.

A reference is data, {STORED_KEY: {...}}, so that it crosses every boundary as a result does. No result is mistaken for
one: a result that contains the key goes to the store itself.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from pydantic_core import to_jsonable_python

STORED_KEY = "canopy_stored"

RESULT_LIMIT = 10_000_000
"""Bytes of JSON that a result in the store may have: whoever refers to it loads it into memory."""

INLINE_LIMIT = 4_000
"""Bytes of JSON up to which a result stays in the history of its flow, where it costs less than a reference."""

INLINE_TOTAL = 100_000
"""Bytes of the results in a flow's state from which on only those stay that are as small as a reference."""

SMALLEST = 250

NOTE_LENGTH = 200
"""Characters of a result that its row shows."""


@dataclass(frozen=True)
class StoredResult:
    """Reference to a result in the store of its batch: `bytes` of JSON. `note` is what a row shows of it."""

    id: str
    bytes: int
    note: str = ""

    @classmethod
    def of(cls, value: Any) -> Self | None:
        """Return the reference that a value is, or None for any other."""
        fields = value.get(STORED_KEY) if isinstance(value, Mapping) and len(value) == 1 else None
        if not isinstance(fields, Mapping) or set(fields) != {"id", "bytes", "note"}:
            return None
        return cls(str(fields["id"]), int(fields["bytes"]), str(fields["note"]))

    def as_data(self) -> dict[str, Any]:
        """Return what stands in the place of the result."""
        return {STORED_KEY: asdict(self)}


def item_reference(index: int) -> str:
    """Return the id under which a store has the data of an item of the batch."""
    return f"item-{index}"


def referred_item(result_id: str) -> int | None:
    """Return the index of the item that an id refers to; None for a result."""
    prefix, _, index = result_id.partition("-")
    return int(index) if prefix == "item" and index.isdecimal() else None


@dataclass(frozen=True)
class StepResult:
    """A result for the store: `step` is the row's id, `content` its JSON, compressed. The id is the content's."""

    batch_id: str
    step: str
    id: str
    size: int
    content: bytes

    @classmethod
    def of(cls, batch_id: str, step: str, text: str) -> Self:
        """Return the result of a step, given as JSON."""
        encoded = text.encode(errors="surrogatepass")
        name = hashlib.sha256(encoded).hexdigest()[:32]
        return cls(batch_id, step, name, len(encoded), zlib.compress(encoded, 1))


def json_of(value: Any) -> str:
    """Return a result as JSON."""
    return json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False, separators=(",", ":"))


def content_of(value: Any) -> bytes:
    """Return a value as the content of a result."""
    return StepResult.of("", "", json_of(value)).content


def text_of(content: bytes) -> str:
    """Return the JSON of a result in the store."""
    return zlib.decompress(content).decode(errors="surrogatepass")


def inline_limit(total: int) -> int:
    """Return the bytes up to which the next result stays in a flow whose results have `total` bytes so far."""
    return INLINE_LIMIT if total < INLINE_TOTAL else SMALLEST


def without_notes(value: Any) -> Any:
    """Return a result with shorter references: a flow that goes on from it shows none of them again."""
    if (stored := StoredResult.of(value)) is not None:
        return replace(stored, note="").as_data()
    if isinstance(value, dict):
        return {name: without_notes(each) for name, each in value.items()}
    return value


def result_note(result: Any) -> str:
    """Return what a row shows of a result: its plain values by name, or the one that it is; lists and objects not."""
    if (stored := StoredResult.of(result)) is not None:
        return stored.note
    values = result if isinstance(result, Mapping) else {} if result is None else {"result": result}
    plain = [(name, value) for name, value in values.items() if value != "" and isinstance(value, str | int | float)]
    shown = [f"{name}: {value:.4g}" if type(value) is float else f"{name}: {value}" for name, value in plain]
    return ", ".join(shown)[:NOTE_LENGTH]
