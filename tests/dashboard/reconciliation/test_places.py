"""Places of workflows below a batch, as Temporal lists them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dashboard.reconciliation.places import place_of
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.events import NodeKind, Place
from orchestration.contracts.status import Status

ROOT = "batch-0123456789ab"


@pytest.mark.parametrize(
    ("workflow_id", "parent", "workflow_type", "place"),
    [
        (ROOT, "", "ServicesWorkflow", None),
        (f"{ROOT}/c3", ROOT, "ChunkWorkflow", None),
        (f"{ROOT}/s1/p0/c3", f"{ROOT}/s1/p0", "ChunkWorkflow", None),
        (f"{ROOT}/c3/rollback", ROOT, "ChunkWorkflow", None),
        (f"{ROOT}/stock", ROOT, "ServiceWorkflow", Place(ROOT, NodeKind.SERVICE, "stock")),
        (f"{ROOT}/c1", ROOT, "ServiceWorkflow", Place(ROOT, NodeKind.SERVICE, "c1")),
        (f"{ROOT}/c1", ROOT, "StockOfOthers", Place(ROOT, NodeKind.SERVICE, "c1")),
        (f"{ROOT}/stock", ROOT, "StockOfOthers", Place(ROOT, NodeKind.SERVICE, "stock")),
        (f"{ROOT}/s1/w2", f"{ROOT}/s1", "PoolWorkerWorkflow", Place(f"{ROOT}/s1", NodeKind.POOL_WORKER, "3", 2)),
        (f"{ROOT}/c3/workflow", f"{ROOT}/c3", "Order", Place(f"{ROOT}/c3", NodeKind.STEP, "Order", 1)),
        ("ship-7", f"{ROOT}/c3", "Ship", Place(f"{ROOT}/c3", NodeKind.STEP, "Ship")),
    ],
)
def test_the_place_follows_from_id_type_and_parent(
    workflow_id: str, parent: str, workflow_type: str, place: Place | None
) -> None:
    now = datetime.now(UTC)
    run = WorkflowRun(
        workflow_id, "run", Status.RUNNING, now, workflow_type=workflow_type, parent=parent, root=parent and ROOT
    )
    assert place_of(run) == place
