"""Notifications: their triggers and subscribers, exactly once, and delivery, signed and retried."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MailHandler
from django.contrib.auth.models import User
from django.test import Client
from standardwebhooks import Webhook

from dashboard.actions.labels import set_tags
from dashboard.models import Batch, Delivery, Occasion, Subscription
from dashboard.projection.blocked import set_blocked
from orchestration.contracts.status import Status
from orchestration.diagnosis.task_failures import TaskFailure
from tests.support.builders import close_root, make_batch, make_person, make_viewer, run_children, start_root
from tests.support.stack import Stack
from tests.support.waiting import wait_until

AT_ONCE = {"seconds_from": 0, "seconds_to": 0}
FAILS = {"processor": "simulate", "parameters": AT_ONCE | {"fail_percent": 100}, "plan": {"item_attempts": 1}}
URL = "/notifications/"


class Receiver(ThreadingHTTPServer):
    """A webhook's receiver: stores requests, and answers with the set statuses."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.end_headers()

    def log_message(self, *given: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


def subscribe(stack: Stack, **given: Any) -> dict[str, Any]:
    answer = stack.api("POST", "/subscriptions", given)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def deliveries(stack: Stack, made: dict[str, Any], status: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.api("GET", f"/subscriptions/{made['id']}/deliveries").json()
    return [each for each in found if each["status"] == status]


def test_a_webhook_is_signed_sent_once_and_retried(stack: Stack, receiver: Receiver) -> None:
    receiver.answers = [503]
    made = subscribe(stack, channel="webhook", address=receiver.address, processor="simulate")
    batch = stack.launch(**FAILS, count=3, label="To be deliveries_of of")
    stack.wait_for(batch, "failed")

    def deliveries_of() -> dict[str, dict[str, Any]]:
        read = {}
        for headers, body in list(receiver.got):
            content = Webhook(made["secret"]).verify(body, headers)
            if content["data"]["id"] == batch:
                read[content["type"]] = content["data"]
        return read

    def arrivals() -> Counter[str]:
        return Counter(headers["webhook-id"] for headers, _ in list(receiver.got))

    wait_until(
        lambda: set(deliveries_of()) == {"batch.failing", "batch.ended"} and 2 in arrivals().values(),
        "both are deliveries_of",
    )
    ended = deliveries_of()["batch.ended"]
    assert (ended["status"], ended["children"]["failed"]) == ("failed", 3)
    assert ended["url"] == f"{stack.url}/batches/{batch}/"
    refused, *others = arrivals()  # in the order of their first arrival: the first one got a 503
    assert [arrivals()[each] for each in (refused, *others)] == [2, *[1] * len(others)]
    assert stack.api("DELETE", f"/subscriptions/{made['id']}").status_code == 204


def test_a_final_refusal_is_not_retried(stack: Stack, receiver: Receiver) -> None:
    receiver.answers = [410] * 10
    gone = subscribe(stack, channel="webhook", address=receiver.address, occasions=["held"], processor="simulate")
    private = subscribe(stack, channel="webhook", address="http://127.0.0.2:9/", occasions=["held"])
    batch = stack.launch(**FAILS | {"plan": {"item_attempts": 1, "hold_at_end": True}}, count=1)
    stack.wait_for(batch, "held")

    def given_up(made: dict[str, Any]) -> list[dict[str, Any]]:
        return [each for each in deliveries(stack, made, "failed") if each["batch"] == batch]

    refusals = [wait_until(partial(given_up, made), "it is given up") for made in (gone, private)]
    assert [each["attempts"] for (each,) in refusals] == [1, 1]
    assert refusals[0][0]["error"] == "The webhook answered 410 Gone."
    assert "127.0.0.2, which is not a public address" in refusals[1][0]["error"]
    (told,) = [content for _, body in receiver.got if (content := json.loads(body)["data"])["id"] == batch]
    assert told["reason"] == "1 of 1 children failed."
    for made in (gone, private):
        stack.api("DELETE", f"/subscriptions/{made['id']}")
    stack.api("POST", f"/batches/{batch}/terminate")


class Mailbox(MailHandler):
    """Stores messages."""

    def __init__(self) -> None:
        super().__init__(EmailMessage)
        self.mails: list[tuple[Message, str]] = []

    def handle_message(self, message: Message) -> None:
        payload = message.get_payload(decode=True)
        assert isinstance(payload, bytes)
        self.mails.append((message, payload.decode()))


def test_an_email_arrives_after_an_outage_of_the_mail_server(stack: Stack) -> None:
    made = subscribe(stack, channel="email", address="ada@example.org", occasions=["ended"], processor="simulate")
    batch = stack.launch(processor="simulate", parameters=AT_ONCE, count=2, label="Grüße\nTo: eve@example.org")
    stack.wait_for(batch, "completed")
    wait_until(
        lambda: any("ConnectionRefusedError" in each["error"] for each in deliveries(stack, made, "pending")),
        "the first attempt has failed",
    )
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=stack.mail_port)
    server.start()
    try:
        wait_until(lambda: any(batch in text for _, text in mailbox.mails), "the mail arrives")
    finally:
        server.stop()
    ((mail, text),) = [each for each in mailbox.mails if batch in each[1]]
    assert mail["To"] == "ada@example.org"
    assert str(make_header(decode_header(mail["Subject"]))).startswith("Finished: Grüße")
    assert "2 completed" in text
    assert f"{stack.url}/batches/{batch}/" in text
    stack.api("DELETE", f"/subscriptions/{made['id']}")


# What is worth telling


def subscription_of(owner: User, **given: Any) -> Subscription:
    return Subscription.objects.create(
        owner=owner,
        **{"channel": "webhook", "address": "https://example.org", "occasions": ["ended", "failing"]} | given,
    )


def deliveries_of(batch: Batch) -> list[tuple[str, str]]:
    return sorted(Delivery.objects.filter(batch=batch).values_list("subscription", "occasion"))


@pytest.mark.django_db
def test_a_batch_notifies_matching_subscriptions(operator: User) -> None:
    batch, other = make_batch(operator, 4), make_batch(operator, 4, processor="http_request")
    set_tags(operator, batch, ["nightly"])
    for each in (batch, other):
        start_root(each)
    all_, its = subscription_of(operator), subscription_of(operator, batch=batch)
    tagged, more = (
        subscription_of(operator, tag="nightly"),
        subscription_of(operator, processor="http_request", threshold=50),
    )
    gone = make_person("gone")
    subscription_of(gone)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    run_children(batch, {0: Status.FAILED})
    assert deliveries_of(batch) == sorted((each.pk, "failing") for each in (all_, its, tagged))
    run_children(other, dict.fromkeys(range(2), Status.FAILED))
    assert deliveries_of(other) == [(all_.pk, "failing")]
    run_children(other, {2: Status.FAILED})
    assert deliveries_of(other) == sorted([(all_.pk, "failing"), (more.pk, "failing")])
    run_children(batch, dict.fromkeys(range(1, 4), Status.COMPLETED))
    close_root(batch, Status.COMPLETED)
    assert deliveries_of(batch) == sorted(
        (each.pk, what) for each in (all_, its, tagged) for what in ("ended", "failing")
    )


@pytest.mark.django_db
def test_a_failing_workflow_task_notifies_once_until_it_is_gone(operator: User) -> None:
    batch = make_batch(operator, 2)
    start_root(batch)
    all_ = subscription_of(operator, occasions=list(Occasion))
    since = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    failure = TaskFailure(batch.workflows.root, "FanOutParent", "RuntimeError: no determinism", since)
    for failures in ([failure], [failure, replace(failure, workflow_id="child", since=since - timedelta(seconds=9))]):
        set_blocked(batch.pk, failures)
        assert deliveries_of(batch) == [(all_.pk, "blocked")]
    (sent,) = Delivery.objects.all()
    assert (sent.content["type"], sent.content["data"]["reason"]) == ("batch.blocked", failure.error)
    set_blocked(batch.pk, [])
    set_blocked(batch.pk, [replace(failure, since=since + timedelta(hours=1))])
    assert deliveries_of(batch) == [(all_.pk, "blocked")] * 2


# The page


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"channel": "webhook", "address": "ftp://example.org"}, "starts with http"),
        ({"channel": "webhook", "address": "https://"}, "starts with http"),
        ({"channel": "email", "address": "nobody"}, "valid email address"),
        ({"channel": "email", "address": "ada@example.org"}, "E-mail is not configured"),
        ({"channel": "pigeon", "address": "https://example.org"}, "not one of the available choices"),
        ({"channel": "webhook", "address": "https://example.org", "threshold": "100"}, "Enter 99 or less."),
        ({"channel": "webhook", "address": "https://example.org", "batch": "nonsense"}, "not one of the available"),
        ({"channel": "webhook", "address": "https://example.org", "occasions": []}, "required"),
    ],
)
@pytest.mark.django_db
def test_an_invalid_field_has_an_error_and_keeps_its_input(
    logged_in: Client, given: dict[str, Any], message: str
) -> None:
    answer = logged_in.post(URL, {"occasions": ["ended"], **given})
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert given["address"] in answer.content.decode()
    assert not Subscription.objects.exists()


@pytest.mark.django_db
def test_subscriptions_belong_to_one_person(logged_in: Client, operator: User) -> None:
    logged_in.post(URL, {"channel": "webhook", "address": "https://example.org/one", "occasions": ["held"]})
    made = Subscription.objects.get()
    assert (made.owner, made.occasions, made.threshold) == (operator, ["held"], 0)
    logged_in.get(URL)
    visitor = Client()
    visitor.force_login(make_person("jon"))
    assert "example.org/one" not in visitor.get(URL).content.decode()
    for what in ("delete", "test"):
        assert visitor.post(f"{URL}{made.pk}/{what}/").status_code == 404
    visitor.force_login(make_viewer())
    assert visitor.post(URL, {}).status_code == 403
    assert "<form" not in visitor.get(URL).content.decode().split('id="main"')[1].split("</main>")[0]
    assert logged_in.post(f"{URL}{made.pk}/test/").status_code == 302
    assert "Test" in logged_in.get(URL).content.decode()
    logged_in.post(f"{URL}{made.pk}/delete/")
    assert not Subscription.objects.exists()
