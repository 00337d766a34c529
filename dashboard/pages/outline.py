"""The outline of a definition as rows, so that templates need not recurse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.definitions.outline import OutlineNode

ICONS = {
    "pipeline": "funnel",
    "stage": "queue-list",
    "services": "server-stack",
    "service": "server",
    "saga": "arrow-uturn-left",
    "step": "arrow-down",
    "compensation": "arrow-uturn-left",
    "pool": "user-group",
    "entity": "identification",
    "steps": "list-bullet",
    "run": "play",
    "parallel": "view-columns",
    "if": "question-mark-circle",
    "branch": "arrow-turn-down-right",
    "loop": "arrow-path",
    "fan_out": "share",
    "approval": "hand-raised",
    "sleep": "clock",
}


@dataclass(frozen=True)
class OutlineRow:
    """One line of an outline, depth first. `closes` has one entry for each nested list that ends after it."""

    node: OutlineNode
    closes: Sequence[None]

    @property
    def icon(self) -> str:
        """Its heroicon."""
        return ICONS[self.node.kind]

    @property
    def word(self) -> str:
        """Its kind in words."""
        return self.node.kind.replace("_", " ")


def outline_rows(root: OutlineNode) -> list[OutlineRow]:
    """Return the rows of an outline, depth first."""
    rows = list[OutlineRow]()
    stack = [(root, 0)]
    while stack:
        node, closes = stack.pop()
        rows.append(OutlineRow(node, [None] * (0 if node.children else closes)))
        for position, child in enumerate(reversed(node.children)):
            stack.append((child, closes + 1 if position == 0 else 0))
    return rows
