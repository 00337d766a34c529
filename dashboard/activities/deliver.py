"""The activities that deliver a notification and give it up."""

from __future__ import annotations

from django.db.models import F
from django.utils import timezone
from temporalio import activity
from temporalio.exceptions import ApplicationError

from dashboard.activities.outages import tried_again_soon
from dashboard.database.threads import in_thread
from dashboard.models import Channel, Delivery, DeliveryStatus
from dashboard.notifications.delivery import ERROR_LENGTH, SENDERS, DeliveryError
from orchestration.contracts.dashboard_activities import Notification
from orchestration.contracts.names import DELIVER_ACTIVITY, GIVE_UP_DELIVERY_ACTIVITY


@activity.defn(name=DELIVER_ACTIVITY)
@tried_again_soon
async def deliver(given: Notification) -> None:
    """Send a notification. Raises ApplicationError, non-retryable if the refusal is final."""
    found = Delivery.objects.select_related("subscription", "batch")
    delivery = await in_thread(found.filter(pk=given.delivery_id).first)()
    if delivery is None or delivery.status != DeliveryStatus.PENDING:
        return
    update = in_thread(Delivery.objects.filter(pk=delivery.pk).update)
    await update(attempts=F("attempts") + 1)
    try:
        await SENDERS[Channel(delivery.subscription.channel)](delivery)
    except DeliveryError as error:
        await update(error=str(error)[:ERROR_LENGTH])
        raise ApplicationError(str(error), type="NotSent", non_retryable=error.is_final) from error
    await update(status=DeliveryStatus.SENT, error="", closed_at=timezone.now())


@activity.defn(name=GIVE_UP_DELIVERY_ACTIVITY)
@tried_again_soon
async def give_up_delivery(given: Notification) -> None:
    """Mark a notification as failed once its attempts are used up."""
    pending = Delivery.objects.filter(pk=given.delivery_id, status=DeliveryStatus.PENDING)
    await in_thread(pending.update)(status=DeliveryStatus.FAILED, closed_at=timezone.now())
