"""Notifications: the subscriptions of the caller and their deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Schema, Status
from pydantic import ConfigDict, Field

from dashboard.accounts.permissions import may_operate, require_operator
from dashboard.api.responses import PROBLEMS
from dashboard.errors import FieldErrors
from dashboard.forms.notifications import SubscriptionForm
from dashboard.models import Channel, Occasion, Subscription
from dashboard.notifications.delivery import secret_of
from dashboard.notifications.subscriptions import subscribe

router = Router(tags=["Notifications"])

MAX_DELIVERIES = 100


class SubscriptionIn(Schema):
    """Where to send which notifications: of one batch, or of all batches of a processor and with a tag."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel
    address: str
    occasions: list[Occasion] = Field(default_factory=lambda: list(Occasion))
    threshold: int = 0
    batch: str | None = None
    processor: str = ""
    tag: str = ""


class SubscriptionOut(SubscriptionIn):
    """A subscription; of a webhook with the secret that signs its payloads (Standard Webhooks)."""

    id: str
    secret: str


class DeliveryOut(Schema):
    """One delivery of a notification: `status` is pending, completed or failed (retries are exhausted)."""

    id: str
    batch: str | None
    occasion: str
    status: str
    attempts: int
    error: str
    made_at: datetime
    closed_at: datetime | None


@router.get("/subscriptions", response={200: list[SubscriptionOut], **PROBLEMS})
def list_subscriptions(request: HttpRequest) -> list[dict[str, Any]]:
    """List your subscriptions, newest first; the secrets that sign webhooks are shown to operators."""
    shows_secret = may_operate(request.user)
    return [_state(each, shows_secret=shows_secret) for each in Subscription.objects.filter(owner=request.user.pk)]


@router.post("/subscriptions", response={201: SubscriptionOut, **PROBLEMS})
def create_subscription(request: HttpRequest, given: SubscriptionIn) -> Status[dict[str, Any]]:
    """Subscribe to batches by webhook or e-mail."""
    form = SubscriptionForm({name: value for name, value in given.model_dump(mode="json").items() if value is not None})
    subscription = subscribe(request.user, form)
    if subscription is None:
        raise FieldErrors({name: [str(each) for each in errors] for name, errors in form.errors.items()})
    return Status(201, _state(subscription, shows_secret=True))


@router.get("/subscriptions/{subscription_id}/deliveries", response={200: list[DeliveryOut], **PROBLEMS})
def list_deliveries(request: HttpRequest, subscription_id: str) -> list[dict[str, Any]]:
    """List the deliveries of a subscription, newest first."""
    found = get_object_or_404(Subscription, pk=subscription_id, owner=request.user.pk).deliveries.all()[:MAX_DELIVERIES]
    return [
        {
            "id": each.pk,
            "batch": each.batch_id,
            "occasion": each.occasion,
            "status": each.status,
            "attempts": each.attempts,
            "error": each.error,
            "made_at": each.made_at,
            "closed_at": each.closed_at,
        }
        for each in found
    ]


@router.delete("/subscriptions/{subscription_id}", response={204: None, **PROBLEMS})
def delete_subscription(request: HttpRequest, subscription_id: str) -> Status[None]:
    """Delete a subscription."""
    get_object_or_404(Subscription, pk=subscription_id, owner=require_operator(request.user)).delete()
    return Status(204, None)


def _state(each: Subscription, *, shows_secret: bool) -> dict[str, Any]:
    return {
        "id": each.pk,
        "channel": each.channel,
        "address": each.address,
        "occasions": each.occasions,
        "threshold": each.threshold,
        "batch": each.batch_id,
        "processor": each.processor,
        "tag": each.tag,
        "secret": secret_of(each) if shows_secret and each.channel == Channel.WEBHOOK else "",
    }
