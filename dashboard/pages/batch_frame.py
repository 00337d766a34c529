"""Context of what every tab of a batch shows: header, progress and tabs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from dashboard.accounts.permissions import may_operate
from dashboard.actions.approval import may_approve
from dashboard.actions.rollback import can_undo
from dashboard.i18n.formatting import StrOrPromise
from dashboard.live.state import batch_state
from dashboard.models import Batch

TABS: dict[str, StrOrPromise] = {
    "batch-detail": gettext_lazy("Tree"),
    "batch-errors": gettext_lazy("Errors"),
    "batch-timeline": gettext_lazy("Timeline"),
    "batch-results": gettext_lazy("Results"),
    "batch-activity": gettext_lazy("Activity"),
    "batch-settings": gettext_lazy("Settings"),
}
"""The tabs by the names of their addresses, in order."""


@dataclass(frozen=True)
class BatchFrame:
    """Context of the frame around each tab. `tab` is the name of the address of the one that is shown."""

    batch: Batch
    state: dict[str, Any]
    tab: str
    samples: str
    may_operate: bool
    may_approve: bool
    can_undo: bool
    confirm: str

    @property
    def tabs(self) -> Sequence[tuple[str, StrOrPromise]]:
        """The tabs that this batch has: a watched one has no items, and so no results."""
        return [(name, title) for name, title in TABS.items() if name != "batch-results" or not self.batch.watched_id]

    @property
    def unit(self) -> str:
        """Which numbers of the state progress is shown by: `live.progress`."""
        return "progress"

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of that unit by status, and in total."""
        counts: dict[str, int] = self.state[self.unit]
        return counts


def batch_frame(request: HttpRequest, batch: Batch, tab: str) -> BatchFrame:
    """Return the context of the frame around a tab."""
    return BatchFrame(
        batch=batch,
        state=batch_state(batch),
        tab=tab,
        samples=json.dumps(batch.samples),
        may_operate=may_operate(request.user),
        may_approve=may_approve(request.user, batch),
        can_undo=can_undo(batch),
        confirm=request.GET.get("confirm", ""),
    )
