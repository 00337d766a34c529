"""Checks of the workers of a batch's queues: a frozen one, and threads that are stuck."""

from __future__ import annotations

from dataclasses import replace

from orchestration.diagnosis.findings import FindingCode, merge_findings
from orchestration.diagnosis.queue_checks import check_workers
from tests.orchestration.client.test_task_queues import NOW, worker


def test_workers_of_the_batch_that_are_frozen_or_have_stuck_threads_are_found() -> None:
    frozen = worker(1, 30)
    stuck = replace(worker(1, 2), identity="8@host", stuck={"slow_report": 3, "resize": 1})
    elsewhere = replace(frozen, queue="gpu")
    gone = replace(worker(60, 62), stuck={"slow_report": 3})
    found = merge_findings(check_workers({"canopy"}, [worker(1, 1), stuck, frozen, elsewhere, gone], NOW))
    assert [each.code for each in found] == [
        FindingCode.WORKER_FROZEN,
        FindingCode.THREADS_STUCK,
        FindingCode.THREADS_STUCK,
    ]
    assert found[0].what.startswith("The worker 7@host is not answering: its process lives, but has done nothing since")
    assert found[1].what.startswith("3 threads of slow_report are stuck in the worker 8@host")
    assert found[2].what.startswith("1 thread of resize is stuck in the worker 8@host")
