"""Context of the notifications page: a person's subscriptions and their recent deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.models import Delivery, DeliveryStatus, Subscription
from dashboard.notifications.subscriptions import SubscriptionForm


@dataclass(frozen=True)
class SubscriptionRow:
    """A subscription; a webhook with the secret that its payload is signed with."""

    subscription: Subscription
    secret: str


@dataclass(frozen=True)
class NotificationsPage:
    """Context of the page: what a person has asked to be told of, and what they were told of lately."""

    form: SubscriptionForm
    rows: Sequence[SubscriptionRow]
    deliveries: Sequence[Delivery]
    may_operate: bool

    @property
    def is_waiting(self) -> bool:
        """Whether something is on its way."""
        return any(each.status == DeliveryStatus.PENDING for each in self.deliveries)
