"""Tables that grow: what belongs to a batch, in the order in which it is deleted, and what else is taken away."""

from __future__ import annotations

from django.db import models

from dashboard.models import (
    Attempt,
    AuditEntry,
    Batch,
    BatchTag,
    BegunItem,
    Delivery,
    FlowStateRecord,
    InboxEntry,
    Item,
    Moment,
    Node,
    Operation,
    Report,
    StepResult,
    Subscription,
    UnansweredCommand,
)

OF_A_BATCH: tuple[tuple[type[models.Model], str], ...] = (
    (Item, "batch"),
    (BegunItem, "batch"),
    (StepResult, "batch"),
    (Attempt, "batch"),
    (Moment, "batch"),
    (Report, "batch"),
    (FlowStateRecord, "batch"),
    (UnansweredCommand, "batch"),
    (InboxEntry, "batch"),
    (BatchTag, "batch"),
    (Delivery, "batch"),
    (Delivery, "subscription__batch"),
    (Subscription, "batch"),
    (Node, "batch"),
    (Operation, "batch"),
)
"""What is deleted with a batch, each before what it refers to: the field that leads to the batch."""

KEPT: tuple[type[models.Model], ...] = (AuditEntry,)
"""What refers to a batch and outlives it."""

LARGE = (Item, Node, Attempt, StepResult, Moment, Report)
"""What a batch weighs by: of the others it has a few rows each."""


def referring() -> set[type[models.Model]]:
    """Return all models with a reference to a batch."""
    relations = (each for each in Batch._meta.get_fields(include_hidden=True) if each.auto_created and each.is_relation)
    return {each.related_model for each in relations if isinstance(each.related_model, type)}
