"""Results of steps that are too large for Temporal's histories."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from dashboard.models.batches import Batch


class StepResult(models.Model):
    """A result of a step: `content` is its JSON, compressed, `size` the bytes of that JSON, `digest` names it.

    `step` is the workflow id of the step's row. One that ran several times may have several, the newest written last.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="step_results")
    step = models.CharField(max_length=1000)
    digest = models.CharField(max_length=32)
    size = models.PositiveIntegerField()
    content = models.BinaryField()
    written_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["batch", "step", "written_at"], name="step_result_of_step")]
        constraints: ClassVar = [models.UniqueConstraint(fields=["batch", "digest", "step"], name="step_result")]

    def __str__(self) -> str:
        return f"{self.step} {self.digest}"
