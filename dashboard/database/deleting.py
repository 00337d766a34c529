"""Deleting many rows in portions, so that no lock is held for long: each portion is a transaction of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, models

FIRST_PORTION = 100
SMALLEST_PORTION, LARGEST_PORTION = 10, 5_000
SHORT = 0.05
"""Seconds: a portion that took less is followed by a larger one."""

LONG = 0.2
"""Seconds: a portion that took more is followed by one that takes half of this. On SQLite all writers wait for it."""

REST = 0.5
"""Of the time that a portion took, for others to write."""


class Portions:
    """Deletes rows by their primary keys, and adapts how many at a time to how long that takes.

    Each table for itself: a row that others may refer to takes many times longer.

    `rows` counts them, `longest` is the time in seconds of the longest portion. `seen` is called after each.
    """

    def __init__(self, seen: Callable[[], None] = lambda: None) -> None:
        self.rows, self.longest, self._seen = 0, 0.0, seen
        self._sizes = dict[type[models.Model], int]()

    def delete(self, model: type[models.Model], keys: Sequence[Any]) -> int:
        """Delete the rows with these keys, and nothing that refers to them. Return how many there were."""
        before, place = self.rows, 0
        while place < len(keys):
            some = keys[place : place + self._sizes.setdefault(model, FIRST_PORTION)]
            place += len(some)
            begun = time.monotonic()
            self.rows += delete_rows(model, some)
            self._adapt(model, time.monotonic() - begun, len(some))
            self._seen()
        return self.rows - before

    def _adapt(self, model: type[models.Model], seconds: float, number: int) -> None:
        self.longest = max(self.longest, seconds)
        if seconds > LONG:
            self._sizes[model] = max(SMALLEST_PORTION, int(number * LONG / 2 / seconds))
        elif seconds < SHORT and number == self._sizes[model]:
            self._sizes[model] = min(LARGEST_PORTION, number * 2)
        time.sleep(seconds * REST)


def delete_rows(model: type[models.Model], keys: Sequence[Any]) -> int:
    """Delete rows by primary key in one statement, without looking for what refers to them; return how many."""
    quote = connection.ops.quote_name
    table, key = quote(model._meta.db_table), quote(str(model._meta.pk.column))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"DELETE FROM {table} WHERE {key} = ANY(%s)", [list(keys)])  # noqa: S608  our own names
        else:
            chosen = f"DELETE FROM {table} WHERE {key} IN (SELECT value FROM json_each(%s))"  # noqa: S608
            cursor.execute(chosen, [json.dumps(list(keys))])
        return int(cursor.rowcount)
