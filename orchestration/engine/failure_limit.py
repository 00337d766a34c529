"""FailureLimit: how many children of a root or stage may fail. Partitions forward the number of theirs to it.

Workflow code: deterministic.
"""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.fan_out import FanOutInput
    from orchestration.contracts.names import CHILD_FAILURES_SIGNAL


class FailureLimit:
    """Counts the failed children below a parent; the limit applies to the head, a root or stage."""

    def __init__(self, given: FanOutInput) -> None:
        self._given = given
        self._limit = given.plan.failure_limit(len(given.children or ()) or given.layout.children)
        self._failures = given.cursor.counts.failures if given.cursor else 0
        self._forwarded = 0

    def limit_to(self, children: int) -> None:
        """Apply the limit for a rerun of so many children."""
        self._limit = self._given.plan.failure_limit(children)

    def add(self, number: int) -> None:
        """Count failures; a negative number takes away those that were retried or left out."""
        self._failures += number

    def excess(self, children: int) -> str:
        """Return in a sentence that too many of so many children failed; empty while the limit holds."""
        if self._limit is None or self._failures <= self._limit:
            return ""
        return f"{self._failures:,} of {children:,} children failed, {self._limit:,} tolerated."

    @property
    def is_forwarded(self) -> bool:
        """Whether the head knows of every failure here: a partition does not close before."""
        return self._given.is_head or self._limit is None or self._failures == self._forwarded

    async def forward(self) -> None:
        """Signal changes of the number to the parent of a partition, until canceled."""
        info = workflow.info().parent
        if self._given.is_head or self._limit is None or info is None:
            return
        parent = workflow.get_external_workflow_handle(info.workflow_id)
        while True:
            await workflow.wait_condition(lambda: self._failures != self._forwarded)
            number = self._failures - self._forwarded
            await parent.signal(CHILD_FAILURES_SIGNAL, number)
            self._forwarded += number
