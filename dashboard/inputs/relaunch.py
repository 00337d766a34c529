"""The form of files that are downloaded to be launched again: each item with its key, exactly as it was given.

CSV has three columns behind those of the items, which the reader recognises: the reason, the key, and which cells are
JSON or absent; all others are text. In JSON Lines the item lies below a name of its own.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from dashboard.inputs.rows import BadRow
from dashboard.inputs.strict_json import InvalidJson, read_json
from dashboard.server.streaming import csv_writer

REASON_COLUMN = "why_rejected"
KEY_COLUMN = "canopy_key"
TYPES_COLUMN = "canopy_types"
ITEM_FIELD = "canopy_item"

OWN_COLUMNS = (REASON_COLUMN, KEY_COLUMN, TYPES_COLUMN)


def csv_lines(columns: Sequence[str], rows: Iterable[tuple[str, Mapping[str, Any], str]]) -> Iterator[str]:
    """Yield a header and items, each given as key, data and reason. Every cell is quoted: none is told by its looks."""
    writer = csv_writer(csv.QUOTE_ALL)
    yield writer.writerow([*columns, *OWN_COLUMNS])
    for key, data, reason in rows:
        is_json = [name for name in columns if name in data and not isinstance(data[name], str)]
        absent = [name for name in columns if name not in data]
        types = {name: names for name, names in (("json", is_json), ("absent", absent)) if names}
        cells = (_cell(data.get(name, "")) for name in columns)
        yield writer.writerow([*cells, reason, key, _dumped(types) if types else ""])


def json_lines(rows: Iterable[tuple[str, Mapping[str, Any], str]]) -> Iterator[str]:
    """Yield items as lines of JSON, each given as key, data and reason."""
    for key, data, reason in rows:
        yield _dumped({REASON_COLUMN: reason, KEY_COLUMN: key, ITEM_FIELD: data}) + "\n"


def is_own(header: Sequence[str]) -> bool:
    """Whether a header is that of such a file."""
    return tuple(header[-len(OWN_COLUMNS) :]) == OWN_COLUMNS


def restored(columns: Sequence[str], cells: Sequence[str], line: int) -> tuple[str, dict[str, Any]] | BadRow:
    """Return the key and the item of a row of such a file."""
    count = len(columns)
    _reason, key, types_text = cells[count:]
    try:
        types = read_json(types_text) if types_text.strip() else {}
        is_json, absent = set(types.get("json", ())), set(types.get("absent", ()))
    except (InvalidJson, AttributeError, TypeError):
        return BadRow(line, _("The column %(column)s cannot be read.") % {"column": TYPES_COLUMN})
    data = dict[str, Any]()
    for name, cell in zip(columns, cells, strict=False):
        if name in absent and not cell:
            continue
        try:
            data[name] = read_json(cell) if name in is_json else cell
        except InvalidJson as error:
            return BadRow(line, f"{name[:50]}: {error}")
    return key, data


def unwrapped(value: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the key and the item of a line of such a file; None for any other object."""
    if value.keys() != {REASON_COLUMN, KEY_COLUMN, ITEM_FIELD}:
        return None
    key, data = value[KEY_COLUMN], value[ITEM_FIELD]
    return (key, data) if isinstance(key, str) and isinstance(data, dict) else None


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else _dumped(value)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
