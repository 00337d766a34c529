"""Options of a plan about approval by a person. Pure."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, model_validator

from orchestration.plan.options import APPROVAL, duration, group


class ApprovalOptions(BaseModel):
    """Whether a person has to approve the start."""

    approval: bool = Field(
        default=False,
        title="Wait for approval",
        description="Start nothing until an operator approves; end if it is rejected.",
        json_schema_extra=group(APPROVAL),
    )
    approval_timeout: float = Field(
        default=86_400,
        gt=0,
        le=2_592_000,
        title="Approval timeout",
        description="How long until a missing approval counts as rejected.",
        json_schema_extra=duration(APPROVAL),
    )
    four_eyes: bool = Field(
        default=False,
        title="Four eyes",
        description="Whoever launched the batch, or created, changed or triggered its schedule, may not approve it.",
        json_schema_extra=group(APPROVAL),
    )

    @model_validator(mode="after")
    def _four_eyes_need_a_gate(self) -> Self:
        if self.four_eyes and not self.approval:
            raise ValueError("Four eyes requires waiting for approval.")
        return self
