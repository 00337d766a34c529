"""Unattended batches: no worker serves the task queue of what they have open."""

from __future__ import annotations

from dashboard.projection.ledger import open_ledger


def set_unattended(batch_id: str, *, unattended: bool) -> None:
    """Record that no worker serves a batch, or that one does again. What it has running is shown as scheduled then."""
    with open_ledger(batch_id) as ledger:
        ledger.batch.unattended = unattended
