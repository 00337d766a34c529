"""Which run of a parent's workflow began this attempt.

Workflow code: deterministic.
"""

from __future__ import annotations

from temporalio import workflow


def attempt_id(carried: str = "") -> str:
    """Return the id of the run that began this attempt, which a run that continued it may have carried.

    Temporal's first run id is also that of a run after a reset, which is an attempt of its own.
    """
    info = workflow.info()
    return carried or (info.run_id if info.continued_run_id is None else info.first_execution_run_id)
