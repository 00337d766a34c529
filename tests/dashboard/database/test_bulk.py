"""Rows that are written together: each gets its own values, and SQLite caches only a few different statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from dashboard.database.bulk import insert_rows, update_rows
from dashboard.models import Attempt, Node
from dashboard.projection.events import apply_events
from orchestration.contracts.events import NodeKind
from tests.support.builders import START, MakeBatch, started

pytestmark = pytest.mark.django_db

MOST_ROWS = 40
SIZES = 7
"""Powers of two up to the first one that holds so many rows."""


class Statements:
    """An execution wrapper that keeps the different statements, without their parameters."""

    def __init__(self) -> None:
        self.texts = set[str]()

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Note a statement and execute it."""
        self.texts.add(sql)
        return execute(sql, params, many, context)


def children(make_batch: MakeBatch, items: int) -> list[Node]:
    batch = make_batch(items=items)
    return list(Node.objects.filter(batch=batch, kind=NodeKind.CHILD).order_by("position"))


def attempt(node: Node, number: int) -> Attempt:
    return Attempt(batch_id=node.batch_id, node=node, number=number, run_id=f"run-{number}", started_at=START)


@pytest.mark.parametrize("rows", [1, 3, 5, 500, 501])
def test_exactly_the_given_rows_are_written(make_batch: MakeBatch, rows: int) -> None:
    nodes = children(make_batch, rows + 1)
    for node in nodes[:rows]:
        node.note, node.duration = f"note {node.position}", node.position / 3
    update_rows(Node, nodes[:rows], ("note", "duration"))
    insert_rows(Attempt, [attempt(node, 1) for node in nodes[:rows]])
    written = Node.objects.filter(pk__in=[node.pk for node in nodes]).order_by("position")
    wanted = [(node.note, node.duration) for node in nodes[:rows]]
    assert list(written.values_list("note", "duration")) == [*wanted, ("", None)]
    assert list(Attempt.objects.order_by("pk").values_list("node", flat=True)) == [node.pk for node in nodes[:rows]]


def test_any_number_of_rows_takes_one_of_a_few_statements(make_batch: MakeBatch) -> None:
    nodes = children(make_batch, MOST_ROWS)
    updates, inserts = Statements(), Statements()
    for rows in range(1, MOST_ROWS + 1):
        with connection.execute_wrapper(updates):
            update_rows(Node, nodes[:rows], ("note", "duration"))
        with connection.execute_wrapper(inserts):
            insert_rows(Attempt, [attempt(node, rows) for node in nodes[:rows]])
    assert len(updates.texts) <= SIZES
    assert len(inserts.texts) <= SIZES


def test_notifies_of_any_length_write_with_a_few_statements(make_batch: MakeBatch) -> None:
    lengths, statements = range(1, 21), Statements()
    nodes = children(make_batch, sum(lengths))
    batch_id = nodes[0].batch_id
    with connection.execute_wrapper(statements):
        for length in lengths:
            events = [started(nodes.pop()) for _ in range(length)]
            apply_events(batch_id, events)
    assert len([text for text in statements.texts if text.startswith("WITH given")]) <= 2 * SIZES
