"""One snapshot: what is read within sees the database as its first query did, and holds nobody up."""

from __future__ import annotations

from threading import Thread

import pytest
from django.contrib.auth.models import User
from django.db import connection

from dashboard.database.snapshot import one_snapshot, reads_one_snapshot
from dashboard.models import Batch, Node
from dashboard.projection.ledger import open_ledger
from tests.support.builders import make_batch

pytestmark = pytest.mark.django_db(transaction=True)


def rename(batch: Batch, label: str) -> None:
    """Change a batch at another connection, as another process does, while the snapshot is read."""

    def change() -> None:
        try:
            with open_ledger(batch.pk) as ledger:
                ledger.root.note = label
        finally:
            connection.close()

    other = Thread(target=change)
    other.start()
    other.join(60)
    assert not other.is_alive(), "a snapshot locks nobody out"


def test_a_change_in_between_is_not_seen_before_the_end(operator: User) -> None:
    batch = make_batch(operator, 2)

    def seen() -> tuple[int, str]:
        return Batch.objects.get(pk=batch.pk).revision, Node.objects.get(batch=batch, kind="root").note

    with one_snapshot():
        before = Batch.objects.get(pk=batch.pk).revision
        rename(batch, "one")
        assert seen() == (before, "")
        with one_snapshot():
            assert seen() == (before, ""), "one within another is the same one"
    assert seen() == (before + 1, "one")

    @reads_one_snapshot
    def view() -> tuple[int, str]:
        revision = Batch.objects.get(pk=batch.pk).revision
        rename(batch, "two")
        return revision, Node.objects.get(batch=batch, kind="root").note

    assert view() == (before + 1, "one")
    assert seen() == (before + 2, "two")
    with open_ledger(batch.pk) as ledger:
        ledger.root.note = "three"
    assert seen() == (before + 3, "three"), "and what writes afterwards takes its lock as ever"
