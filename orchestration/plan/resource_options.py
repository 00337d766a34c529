"""Options of what items share: resources, and entities."""

from __future__ import annotations

from pydantic import BaseModel, Field

from orchestration.plan.choices import WhenTaken
from orchestration.plan.options import RESOURCES, group


class ResourceOptions(BaseModel):
    """What children must not share."""

    resource_field: str = Field(
        default="",
        max_length=100,
        title="Resource",
        description="Field of the items that names what only one child at a time may use, in all batches.",
        json_schema_extra=group(RESOURCES),
    )
    resource_taken: WhenTaken = Field(
        default=WhenTaken.WAIT,
        title="When it is in use",
        description="Wait, or join: be skipped once the other has completed.",
        json_schema_extra=group(RESOURCES),
    )


class EntityOptions(BaseModel):
    """Which long-lived workflow an item is an operation of, where items run as operations."""

    entity_field: str = Field(
        default="",
        max_length=100,
        title="Entity",
        description="Field of the items that names their account or device; empty: the business key.",
        json_schema_extra=group(RESOURCES),
    )
    entity_continue_after: int = Field(
        default=100,
        ge=1,
        le=1_000,
        title="Operations of one run",
        description="After so many an entity goes on in a new run.",
        json_schema_extra=group(RESOURCES),
    )
    entity_idle: float = Field(
        default=300,
        gt=0,
        le=2_592_000,
        title="Idle",
        description="Seconds without an operation after which an entity shuts down; the next one starts it again.",
        json_schema_extra=group(RESOURCES),
    )
