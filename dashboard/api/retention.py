"""Retention: rules, a dry run, the runs, which batches are kept, and what one weighs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field

from dashboard.api.batches import find_batch
from dashboard.api.responses import COMMAND, PROBLEMS, Accepted, Problem
from dashboard.errors import FieldErrors
from dashboard.models import PruneRun, RetentionRule
from dashboard.queries.deleted_batches import deleted_batch
from dashboard.retention import changes
from dashboard.retention.rules import age_of
from dashboard.retention.runs import preview
from dashboard.retention.weight import database_bytes, weight_of

router = Router(tags=["Retention"])

RUNS_SHOWN = 100


class RuleIn(Schema):
    """How long finished batches are kept that fit all conditions: `days`, or for ever without. Empty fits every batch.

    `label` is a part of the label, `outcome` a status. Of several rules the one that keeps a batch longest counts.
    """

    model_config = ConfigDict(extra="forbid")

    days: int | None = None
    processor: str = Field(default="", max_length=100)
    tag: str = Field(default="", max_length=40)
    label: str = Field(default="", max_length=200)
    outcome: str = Field(default="", max_length=30)


class RuleOut(RuleIn):
    """A rule, and who added it."""

    id: int
    made_by: str
    made_at: datetime


class RunOut(Schema):
    """A run: what it deleted, by rule and of other kinds, and the longest time in seconds that it held a lock."""

    started_at: datetime
    ended_at: datetime | None
    started_by: str
    batches: int
    rows: int
    bytes: int
    by_rule: dict[str, Any]
    others: dict[str, int]
    longest: float
    error: str


class RetentionOut(Schema):
    """The rules, what counts where none fits (0: kept for ever), the database's size in bytes, and the last runs."""

    rules: list[RuleOut]
    default_days: int
    database_bytes: int
    runs: list[RunOut]


class TotalOut(Schema):
    """How much of a rule: batches, rows, and estimated bytes in the database."""

    batches: int
    rows: int
    bytes: int


class PreviewOut(TotalOut):
    """What a run would delete now, in all, by rule, and of other kinds."""

    by_rule: dict[str, TotalOut]
    others: dict[str, int]


class KeepIn(Schema):
    """Whether a batch is kept whatever the rules say."""

    keep: bool


class KeepOut(KeepIn):
    """Whether a batch is kept whatever the rules say."""

    id: str


class WeightOut(Schema):
    """What a batch takes up: rows, and estimated bytes in the database, of which results, and bytes of its upload."""

    rows: int
    bytes: int
    results: int
    uploads: int


class DeletedOut(Schema):
    """What is kept of a deleted batch. `errors` are its largest groups."""

    id: str
    label: str
    processor: str
    definition: str
    tags: list[str]
    status: str
    item_count: int
    child_count: int
    children: dict[str, int]
    items: dict[str, int]
    seconds: float | None
    errors: list[dict[str, Any]]
    launched_by: str
    launched_via: str
    schedule: str
    created_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    rule: str
    rows: int
    bytes: int
    deleted_by: str
    begun_at: datetime
    deleted_at: datetime | None


@router.get("/retention", response={200: RetentionOut, **PROBLEMS})
def get_retention(request: HttpRequest) -> dict[str, Any]:
    """Get rules and last runs."""
    rules = RetentionRule.objects.select_related("made_by")
    return {
        "rules": [_state(rule) for rule in rules],
        "default_days": max(0, settings.CANOPY_RETENTION_DAYS),
        "database_bytes": database_bytes(),
        "runs": list(PruneRun.objects.all()[:RUNS_SHOWN]),
    }


@router.post("/retention/rules", response={201: RuleOut, **PROBLEMS})
def create_rule(request: HttpRequest, given: RuleIn) -> Status[dict[str, Any]]:
    """Add a rule. Nothing is deleted before the next run."""
    return Status(201, _state(changes.add_rule(request.user, **given.model_dump())))


@router.delete("/retention/rules/{rule_id}", response={204: None, **PROBLEMS})
def delete_rule(request: HttpRequest, rule_id: int) -> Status[None]:
    """Remove a rule."""
    changes.remove_rule(request.user, get_object_or_404(RetentionRule, pk=rule_id))
    return Status(204, None)


@router.get("/retention/preview", response={200: PreviewOut, **PROBLEMS})
def preview_retention(request: HttpRequest, older_than: str = "") -> dict[str, Any]:
    """Say what a run would delete now, without deleting it. `older_than` (30d, 12h) takes the place of the default."""
    try:
        age = age_of(older_than) if older_than else None
    except ValueError as error:
        raise FieldErrors({"older_than": str(error)}) from None
    found = preview(age)
    by_rule = {rule: vars(total) for rule, total in found.by_rule.items()}
    return {**vars(found.total), "by_rule": by_rule, "others": dict(found.others)}


@router.post("/retention/run", response={202: Accepted, **PROBLEMS, **COMMAND})
def run_retention(request: HttpRequest) -> Status[dict[str, str]]:
    """Delete what is due now, in the background; unless a run does so already."""
    changes.run_now(request.user)
    return Status(202, {"detail": "Requested."})


@router.post("/batches/{batch_id}/keep", response={200: KeepOut, 410: Problem, **PROBLEMS})
def keep_batch(request: HttpRequest, batch_id: str, given: KeepIn) -> dict[str, Any]:
    """Keep a batch whatever the rules say, or no longer."""
    changes.set_keep(request.user, find_batch(batch_id), keep=given.keep)
    return {"id": batch_id, "keep": given.keep}


@router.get("/batches/{batch_id}/weight", response={200: WeightOut, **PROBLEMS})
def weigh_batch(request: HttpRequest, batch_id: str) -> dict[str, Any]:
    """Say what a batch takes up, by a sample of its rows."""
    return vars(weight_of(find_batch(batch_id)))


@router.get("/deleted-batches/{batch_id}", response={200: DeletedOut, **PROBLEMS})
def get_deleted_batch(request: HttpRequest, batch_id: str) -> Any:
    """Get what is kept of a batch that retention deleted."""
    if (found := deleted_batch(batch_id)) is None:
        raise HttpError(404, f"No batch {batch_id} was deleted.")
    return found


def _state(rule: RetentionRule) -> dict[str, Any]:
    names = ("id", "days", "processor", "tag", "label", "outcome", "made_at")
    return {name: getattr(rule, name) for name in names} | {"made_by": rule.made_by.get_username()}
