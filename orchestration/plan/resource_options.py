"""Options of what items share: resources, and entities."""

from __future__ import annotations

from pydantic import BaseModel, Field

from orchestration.plan.choices import WhenTaken
from orchestration.plan.options import RESOURCES, duration, group


class ResourceOptions(BaseModel):
    """What children must not share."""

    resource_field: str = Field(
        default="",
        max_length=100,
        title="Resource",
        description="Item field that names a resource which only one child at a time may use, across all batches.",
        json_schema_extra=group(RESOURCES),
    )
    resource_taken: WhenTaken = Field(
        default=WhenTaken.WAIT,
        title="When it is in use",
        description="Wait, or join: skip the child once the other one has completed.",
        json_schema_extra=group(RESOURCES),
    )


class EntityOptions(BaseModel):
    """Which long-lived workflow an item is an operation of, where items run as operations."""

    entity_field: str = Field(
        default="",
        max_length=100,
        title="Entity",
        description="Item field that names the account or device; empty: the business key.",
        json_schema_extra=group(RESOURCES),
    )
    entity_continue_after: int = Field(
        default=100,
        ge=1,
        le=1_000,
        title="Operations per run",
        description="After this many operations an entity continues in a new run.",
        json_schema_extra=group(RESOURCES),
    )
    entity_idle: float = Field(
        default=300,
        gt=0,
        le=2_592_000,
        title="Idle",
        description="How long without an operation until an entity shuts down; the next operation starts it again.",
        json_schema_extra=duration(RESOURCES),
    )
