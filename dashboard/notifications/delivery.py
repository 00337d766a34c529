"""Sending of notifications by webhook and e-mail.

A webhook is signed as Standard Webhooks says (https://www.standardwebhooks.com), and restricted to the hosts that
processors may connect to. An e-mail goes through the installation's mail server (EMAIL_URL).
"""

from __future__ import annotations

import asyncio
import base64
import json
from smtplib import SMTPRecipientsRefused, SMTPResponseException

import httpx
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.crypto import salted_hmac
from standardwebhooks import Webhook

from dashboard.models import Channel, Delivery, Occasion, Subscription
from orchestration.errors.texts import named
from orchestration.processors.http.egress import AddressRefused, EgressPolicy, GuardedBackend, GuardedTransport

TIMEOUT = 15.0
ERROR_LENGTH = 500

RETRYABLE_STATUSES = (408, 425, 429)
"""Client errors that are retried; every other status from 400 to 499 is final."""


class DeliveryError(Exception):
    """A notification could not be delivered: why, and whether a retry is pointless."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


async def _post(delivery: Delivery) -> None:
    body, now = json.dumps(delivery.content), timezone.now()
    headers = {
        "content-type": "application/json",
        "webhook-id": delivery.pk,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret_of(delivery.subscription)).sign(delivery.pk, now, body),
    }
    transport = GuardedTransport(GuardedBackend(EgressPolicy.of(settings.CANOPY_HTTP_ALLOW)))
    try:
        async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False) as client:
            answer = await client.post(delivery.subscription.address, content=body, headers=headers)
    except (AddressRefused, httpx.InvalidURL) as error:
        raise DeliveryError(str(error), is_final=True) from error
    except httpx.HTTPError as error:
        raise DeliveryError(named(error)) from error
    if not answer.is_success:
        is_final = answer.status_code < 500 and answer.status_code not in RETRYABLE_STATUSES
        raise DeliveryError(f"The webhook answered {answer.status_code} {answer.reason_phrase}.", is_final=is_final)


async def _mail(delivery: Delivery) -> None:
    data, occasion = delivery.content["data"], delivery.occasion
    message = EmailMessage(
        subject=" ".join(f"{subject_of(occasion)}: {data['label']}".split()),
        body=render_to_string("notifications/notification.txt", {"data": data, "occasion": occasion}),
        to=[delivery.subscription.address],
        headers={"Message-ID": f"<{delivery.pk}@canopy>", "Auto-Submitted": "auto-generated"},
    )
    try:
        await asyncio.to_thread(message.send)
    except OSError as error:  # smtplib's errors, too
        raise DeliveryError(named(error), is_final=_is_refused(error)) from error


def _is_refused(error: OSError) -> bool:
    """Whether a mail server refused permanently: with a code from 500 on."""
    codes = [code for code, _ in error.recipients.values()] if isinstance(error, SMTPRecipientsRefused) else []
    codes += [error.smtp_code] if isinstance(error, SMTPResponseException) else []
    return any(code >= 500 for code in codes)


SENDERS = {Channel.WEBHOOK: _post, Channel.EMAIL: _mail}


def subject_of(occasion: str) -> str:
    """Return the subject of a notification."""
    words = {
        Occasion.ENDED: "Finished",
        Occasion.FAILING: "Failing",
        Occasion.HELD: "Waiting for a decision",
        Occasion.BLOCKED: "Workflow task failing",
    }
    return words.get(Occasion(occasion), "") if occasion in Occasion.values else "Test notification"


def secret_of(subscription: Subscription) -> str:
    """Return the secret that signs a webhook's payload: derived from SECRET_KEY, and stored nowhere."""
    key = salted_hmac("canopy.webhook", subscription.pk, algorithm="sha256").digest()
    return f"whsec_{base64.b64encode(key).decode()}"
