"""Noticing: what a change of a batch is worth telling, written down for those who want to know, in its transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from dashboard.models import Batch, BatchTag, Delivery, Node, Occasion, Subscription
from dashboard.models.tallies import failed_children
from orchestration.contracts.status import Status


@dataclass(frozen=True)
class NotificationState:
    """What of a batch is compared before and after a change."""

    is_open: bool
    failures: int
    held: str

    @classmethod
    def of(cls, batch: Batch) -> NotificationState:
        """Look at a batch; a hold is known by when it began."""
        held = batch.held_at.isoformat() if batch.held_kind and batch.held_at else ""
        return cls(batch.is_open, failed_children(batch), held)


def write_notifications(before: NotificationState, batch: Batch, root: Node) -> None:
    """Write a delivery for everybody who wants to be told of what has changed since `before`."""
    found = list(_occasions(before, NotificationState.of(batch), root))
    if not found:
        return
    for subscription in subscriptions_to(batch):
        for occasion, once in found:
            if occasion not in subscription.occasions:
                continue
            if occasion is Occasion.FAILING and not _exceeds(subscription.threshold, batch):
                continue
            Delivery.objects.get_or_create(
                subscription=subscription,
                batch=batch,
                occasion=occasion,
                once=once,
                defaults={"content": payload_of(batch, root, occasion)},
            )


def _exceeds(percent: int, batch: Batch) -> bool:
    return failed_children(batch) * 100 > percent * batch.child_count


def _occasions(before: NotificationState, now: NotificationState, root: Node) -> Iterator[tuple[Occasion, str]]:
    run = root.run_id or f"attempt {root.attempt}"
    if before.is_open and not now.is_open:
        yield Occasion.ENDED, run
    if now.held and now.held != before.held:
        yield Occasion.HELD, now.held
    if now.failures > before.failures:
        yield Occasion.FAILING, run


def subscriptions_to(batch: Batch) -> list[Subscription]:
    """Return the subscriptions that a batch is meant by."""
    tagged = BatchTag.objects.filter(batch=batch, name=OuterRef("tag"))
    is_meant = Q(batch=batch) | Q(batch=None, processor__in=("", batch.processor))
    has_tag = Q(tag="") | Exists(tagged)
    return list(Subscription.objects.filter(is_meant & has_tag, owner__is_active=True))


def payload_of(batch: Batch, root: Node, occasion: str) -> dict[str, object]:
    """Return what is sent of a batch: {"type", "timestamp", "data"}, as Standard Webhooks has it."""
    return {
        "type": f"batch.{occasion}",
        "timestamp": timezone.now().isoformat(),
        "data": {
            "id": batch.pk,
            "url": f"{settings.CANOPY_URL}{reverse('batch-detail', args=[batch.pk])}",
            "label": str(batch),
            "processor": batch.processor,
            "status": batch.status,
            "launched_by": batch.launched_by.get_username(),
            "children": batch.children | {"total": batch.child_count},
            "items": batch.items_by_status | {"total": batch.item_count},
            "reason": batch.held_reason or (root.error_message if Status(root.status).is_retryable else ""),
        },
    }
