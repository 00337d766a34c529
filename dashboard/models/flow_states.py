"""States of flows that have stopped, kept for longer than Temporal keeps their histories."""

from __future__ import annotations

from django.db import models

from dashboard.models.batches import Batch


class FlowStateRecord(models.Model):
    """What a closed run of a flow had completed: where another run resumes once Temporal has forgotten this one.

    `content` is the JSON of orchestration.contracts.flows.FlowState, compressed; empty where Temporal had forgotten the
    run before it was read, or where it is larger than a run could continue from.
    """

    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, related_name="flow_state")
    run_id = models.CharField(max_length=64)
    content = models.BinaryField()
    read_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"State of {self.batch_id}"
