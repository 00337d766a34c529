"""Triggers: a change of a batch writes a delivery per subscription that matches, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from dashboard.models import Batch, BatchTag, Delivery, Node, Occasion, Subscription
from dashboard.models.tallies import failed_children
from dashboard.server.public_url import public_url
from orchestration.contracts.status import Status


@dataclass(frozen=True)
class NotificationState:
    """The state of a batch that is compared before and after a change."""

    is_open: bool
    failures: int
    held: str
    blocked: str

    @classmethod
    def of(cls, batch: Batch) -> NotificationState:
        """Return the present state; a hold is identified by its start, and so is a failing workflow task."""
        held = batch.held_at.isoformat() if batch.held_kind and batch.held_at else ""
        blocked = batch.blocked_since.isoformat() if batch.blocked_since else ""
        return cls(batch.is_open, failed_children(batch), held, blocked)


def write_notifications(before: NotificationState, batch: Batch, root: Node) -> None:
    """Write deliveries for what has happened to a batch since `before`."""
    events = list(_events(before, NotificationState.of(batch), root))
    if not events:
        return
    for subscription in subscriptions_to(batch):
        for occasion, once in events:
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


def _events(before: NotificationState, now: NotificationState, root: Node) -> Iterator[tuple[Occasion, str]]:
    """Yield what has happened, each with a key that is delivered once per subscription."""
    run = root.run_id or f"attempt {root.attempt}"
    if before.is_open and not now.is_open:
        yield Occasion.ENDED, run
    if now.held and now.held != before.held:
        yield Occasion.HELD, now.held
    if now.blocked and not before.blocked:
        yield Occasion.BLOCKED, now.blocked
    if now.failures > before.failures:
        yield Occasion.FAILING, run


def subscriptions_to(batch: Batch) -> list[Subscription]:
    """Return the subscriptions of active people that a batch matches."""
    tagged = BatchTag.objects.filter(batch=batch, name=OuterRef("tag"))
    matches = Q(batch=batch) | Q(batch=None, processor__in=("", batch.processor))
    has_tag = Q(tag="") | Exists(tagged)
    return list(Subscription.objects.filter(matches & has_tag, owner__is_active=True))


def payload_of(batch: Batch, root: Node, occasion: str) -> dict[str, object]:
    """Return the payload of a notification: {"type", "timestamp", "data"}, as Standard Webhooks has it."""
    return {
        "type": f"batch.{occasion}",
        "timestamp": timezone.now().isoformat(),
        "data": {
            "id": batch.pk,
            "url": public_url("batch-detail", batch.pk),
            "label": str(batch),
            "processor": batch.processor,
            "status": batch.status,
            "launched_by": batch.launched_by.get_username(),
            "children": batch.shown_children | {"total": batch.child_count},
            "items": batch.shown_items | {"total": batch.item_count},
            "reason": _reason(batch, root, occasion),
        },
    }


def _reason(batch: Batch, root: Node, occasion: str) -> str:
    if occasion == Occasion.BLOCKED:
        return str(batch.blocked["reason"])
    return batch.held_reason or (root.error_message if Status(root.status).is_retryable else "")
