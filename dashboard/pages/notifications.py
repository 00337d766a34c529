"""Context of the notifications page: a person's subscriptions and their recent deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.forms.notifications import SubscriptionForm
from dashboard.models import Delivery, DeliveryStatus, Subscription


@dataclass(frozen=True)
class SubscriptionRow:
    """A subscription; of a webhook with the secret that signs its payloads."""

    subscription: Subscription
    secret: str


@dataclass(frozen=True)
class NotificationsPage:
    """Context of the page: a person's subscriptions and recent deliveries."""

    form: SubscriptionForm
    rows: Sequence[SubscriptionRow]
    deliveries: Sequence[Delivery]
    may_operate: bool

    @property
    def has_pending(self) -> bool:
        """Whether a delivery is pending, so that the page polls."""
        return any(each.status == DeliveryStatus.PENDING for each in self.deliveries)
