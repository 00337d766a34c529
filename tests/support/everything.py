"""One of everything that a route may name."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from dashboard.accounts.api_tokens import create_token
from dashboard.definitions import saving
from dashboard.inputs.uploads import store_upload
from dashboard.models import ApiToken, Operation, Report, RetentionRule, SavedView, Schedule, Subscription
from orchestration.plan.plan import Plan
from orchestration.processors import catalogue
from tests.support import builders
from tests.support.builders import MakeBatch

DEFINITION = """
kind: saga
steps:
  - {name: only, processor: simulate, input: {}}
"""


def one_of_everything(operator: User, make_batch: MakeBatch) -> dict[str, Any]:
    """Make it, and return the parameters of routes by name."""
    catalogue.load()
    batch = make_batch(2)
    builders.start_root(batch)
    source = {"kind": "count", "upload": None, "name": "", "key": "", "left_out": 0}
    plan = Plan().model_dump(mode="json")
    kept = {"processor": "simulate", "parameters": {}, "plan": plan, "label": "", "source": source}
    schedule = Schedule.objects.create(name="Nightly", request=kept, item_count=3, made_by=operator)
    version = saving.create(operator, "Flow", DEFINITION, "")
    operation = Operation.objects.create(
        batch=batch, person=operator, action="retry", words="all", chosen=[[0, 1]], number=2, items=2
    )
    subscription = Subscription.objects.create(owner=operator, channel="webhook", address="https://example.org/")
    create_token(operator, "another")
    Report.objects.create(batch=batch, run_id="run", content={"batch": {"id": batch.pk}})
    return {
        "batch_id": batch.pk,
        "node_id": builders.child_of(batch, 0).pk,
        "position": 0,
        "index": 0,
        "operation_id": operation.pk,
        "schedule_id": schedule.pk,
        "definition_id": version.definition_id,
        "version_id": version.pk,
        "number": 1,
        "subscription_id": subscription.pk,
        "rule_id": RetentionRule.objects.create(days=3, made_by=operator).pk,
        "view_id": SavedView.objects.create(owner=operator, name="mine", query="").pk,
        "token_id": ApiToken.objects.get(name="another").pk,
        "upload_id": store_upload(operator, "words.txt", ContentFile(b"words")).pk,
        "result_id": "0" * 32,
        "name": "simulate",
        "form": "csv",
        "report-download.form": "json",
        "what": "workflow-types",
        "language": "en",
        "rest": "nothing",
    }
