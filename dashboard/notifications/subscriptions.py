"""Subscriptions: saves one from a valid form, and sends a test notification of one."""

from __future__ import annotations

from django.forms import ModelForm
from django.utils.translation import gettext as _

from dashboard.accounts.permissions import Person, require_operator
from dashboard.errors import OperationError
from dashboard.ids import new_id
from dashboard.models import Batch, Delivery, Node, Subscription
from dashboard.notifications.triggers import payload_of
from dashboard.server.shared_throttle import SharedThrottle

TEST_OCCASION = "test"
TEST_LABEL = "This is a test"
SUBSCRIPTIONS_LIMIT = 100
"""Subscriptions of one person."""

TESTS = SharedThrottle("test-notifications", limit=10, seconds=600)
"""Test notifications of one person: each is a request to an address of their choice."""


def subscribe(person: Person, form: ModelForm[Subscription]) -> Subscription | None:
    """Save a subscription; return None if the form has errors. Raises PermissionDenied."""
    operator = require_operator(person)
    if form.is_valid() and operator.subscriptions.count() >= SUBSCRIPTIONS_LIMIT:
        form.add_error(
            None, _("You already have %(limit)s notifications: delete one first.") % {"limit": SUBSCRIPTIONS_LIMIT}
        )
    if not form.is_valid():
        return None
    subscription: Subscription = form.save(commit=False)
    subscription.owner = operator
    subscription.save()
    return subscription


def send_test(person: Person, subscription: Subscription) -> Delivery:
    """Write a test delivery of a subscription. Raises PermissionDenied, OperationError (429 above the limit)."""
    operator = require_operator(person)
    if not TESTS.take(operator.get_username()):
        raise OperationError(
            _("At most %(limit)s tests in ten minutes: try again later.") % {"limit": TESTS.limit}, 429
        )
    batch = Batch(pk="none", label=TEST_LABEL, launched_by=operator, item_count=0, child_count=0)
    content = payload_of(batch, Node(), TEST_OCCASION)
    return Delivery.objects.create(subscription=subscription, occasion=TEST_OCCASION, once=new_id(), content=content)
