"""How files of tests are shared out among pytest-xdist's workers: those that need a stack go to few of them.

Each worker that runs one of those starts a stack of its own, and mostly a Chromium: 9 s of processor time.
"""

from __future__ import annotations

import functools
import re

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from tests.support.environment import ROOT

STACKS = 3
"""Workers that run what needs a stack. They are the first ones, and do so before anything else."""


class StacksTogether(LoadFileScheduling):
    """Give each worker a file of its kind for as long as there is one."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        has_stack = int(node.gateway.id.removeprefix("gw")) < STACKS
        own = next((file for file in self.workqueue if needs_stack(file) is has_stack), None)
        if own is not None:
            self.workqueue.move_to_end(own, last=False)
        super()._assign_work_unit(node)


@functools.cache
def needs_stack(file: str) -> bool:
    """Whether tests of a file take the fixture of the shared stack, or Chromium."""
    return re.search(r"\b(fragile_)?stack: Stack\b|\bNewPage\b|\bBrowser\b", (ROOT / file).read_text()) is not None
