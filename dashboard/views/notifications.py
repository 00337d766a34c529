"""Notifications: a person's own subscriptions, their deliveries, and their actions."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.accounts.permissions import may_operate, require_operator
from dashboard.errors import OperationError
from dashboard.forms.notifications import SubscriptionForm
from dashboard.models import Channel, Delivery, Subscription
from dashboard.notifications.delivery import secret_of
from dashboard.notifications.subscriptions import send_test, subscribe
from dashboard.pages.notifications import NotificationsPage, SubscriptionRow
from dashboard.server.requests import HtmxHttpRequest

RECENT_DELIVERIES = 30


@require_http_methods(["GET", "HEAD", "POST"])
def notification_list(request: HtmxHttpRequest) -> HttpResponse:
    """Show a person's subscriptions and recent deliveries, or create a subscription."""
    form = SubscriptionForm(initial={"batch": request.GET.get("batch", "")})
    if request.method == "POST":
        form = SubscriptionForm(request.POST)
        subscription = subscribe(request.user, form)
        if subscription is not None:
            messages.success(request, _("Notification created: %(subscription)s.") % {"subscription": subscription})
            return HttpResponseRedirect(reverse("notification-list"))
    if request.htmx:
        return render(request, "notifications/notification_list.html#deliveries", {"page": _page(request, form)})
    status = 422 if form.errors else 200
    return render(request, "notifications/notification_list.html", {"page": _page(request, form)}, status=status)


@require_POST
def subscription_delete(request: HtmxHttpRequest, subscription_id: str) -> HttpResponse:
    """Delete one of a person's own subscriptions."""
    subscription = _own(request, subscription_id)
    subscription.delete()
    messages.success(request, _("Deleted: %(subscription)s.") % {"subscription": subscription})
    return HttpResponseRedirect(reverse("notification-list"))


@require_POST
def subscription_test(request: HtmxHttpRequest, subscription_id: str) -> HttpResponse:
    """Send a test notification."""
    subscription = _own(request, subscription_id)
    try:
        send_test(request.user, subscription)
    except OperationError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("Test queued. Its result appears below."))
    return HttpResponseRedirect(reverse("notification-list"))


def _own(request: HtmxHttpRequest, subscription_id: str) -> Subscription:
    return get_object_or_404(Subscription, pk=subscription_id, owner=require_operator(request.user))


def _page(request: HtmxHttpRequest, form: SubscriptionForm) -> NotificationsPage:
    own = Subscription.objects.filter(owner=request.user.pk).select_related("batch")
    deliveries = Delivery.objects.filter(subscription__owner=request.user.pk).select_related("subscription", "batch")
    may_act = may_operate(request.user)
    return NotificationsPage(
        form=form,
        rows=[
            SubscriptionRow(each, secret_of(each) if may_act and each.channel == Channel.WEBHOOK else "")
            for each in own
        ],
        deliveries=list(deliveries[:RECENT_DELIVERIES]),
        may_operate=may_act,
    )
