"""What the API takes and gives, as typed models: the OpenAPI page is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Schema
from pydantic import ConfigDict, Field

from dashboard.models import Action


class ProcessorOut(Schema):
    """A kind of work that can be launched, with JSON schemas of its parameters and items."""

    name: str
    title: str
    summary: str
    parameters: dict[str, Any]
    item: dict[str, Any]


class PresetOut(Schema):
    """A pattern as a starting point: when to use it, and the launch that shows it."""

    name: str
    title: str
    when: str
    patterns: list[str]
    processor: str
    parameters: dict[str, Any]
    plan: dict[str, Any]


class BatchIn(Schema):
    """A launch: either `items` or `count`. `key` names the field that is the items' business key.

    With `preset` its parameters and plan are filled in under those given. With `definition` (the id of a saved version)
    that flow is launched, and there are neither processor nor items.
    """

    model_config = ConfigDict(extra="forbid")

    processor: str = ""
    preset: str | None = None
    definition: int | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    items: list[Any] | None = None
    count: int | None = None
    key: str | None = None
    label: str = Field(default="", max_length=200)
    plan: dict[str, Any] = Field(default_factory=dict)


class BatchCreated(Schema):
    """Where the new batch is."""

    id: str
    url: str


class CountsOut(Schema):
    """Children or items by status."""

    total: int
    pending: int
    running: int
    completed: int
    failed: int
    canceled: int
    terminated: int
    timed_out: int
    skipped: int


class HeldOut(Schema):
    """What a batch waits for a person to decide ("failures", or "gate" for an approval), why, and until when."""

    kind: str
    reason: str
    until: datetime | None


class NamedOut(Schema):
    """Something by id and name."""

    id: str
    name: str


class UploadOut(Schema):
    """A file that was kept. `size` in bytes."""

    id: str
    name: str
    size: int


class WatchIn(Schema):
    """A workflow whose tree is to be watched: the id of the root, or of anything below it."""

    workflow_id: str = Field(min_length=1, max_length=1000)


class BatchOut(Schema):
    """How far a batch is."""

    id: str
    status: str
    revision: int
    processor: str
    label: str
    launched_by: str
    schedule: NamedOut | None
    created_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    window: int
    rate: float | None
    eta: float | None
    start_error: str
    held: HeldOut | None
    children: CountsOut
    items: CountsOut


class ErrorOut(Schema):
    """Why an attempt did not complete. Kinds: application, validation (not retried), timeout, canceled, terminated,
    items (of the child), skipped, setup (the worker cannot do it).
    """

    kind: str
    type: str
    message: str


class NodeOut(Schema):
    """One workflow execution of a batch's tree."""

    id: int
    workflow_id: str
    run_id: str
    parent: int | None
    kind: str
    position: int
    label: str
    note: str
    status: str
    attempt: int
    started_at: datetime | None
    closed_at: datetime | None
    error: ErrorOut | None


class NodePage(Schema):
    """Nodes, and the cursor of the next page or null."""

    results: list[NodeOut]
    next: str | None


class ItemOut(Schema):
    """One item and what became of it."""

    index: int
    key: str
    child: int
    data: dict[str, Any]
    status: str
    attempts: int
    result: Any
    error: ErrorOut | None
    duration: float | None
    finished_at: datetime | None
    undone_at: datetime | None
    dropped: str
    undo_error: str


class ItemPage(Schema):
    """Items, and the cursor of the next page or null."""

    results: list[ItemOut]
    next: str | None


class ErrorGroupOut(Schema):
    """Failures with one error: how many items (children, where no item is to blame) have it now, how many got another
    attempt that is not through, how many have completed after it, and what one of them says. `of_batch` is from 0 to 1.
    """

    signature: str
    error_type: str
    template: str
    sample: str
    number: int
    children: int
    under_way: int
    mended: int
    of_batch: float
    of_items: bool
    first: datetime | None
    last: datetime | None


class RetryIn(Schema):
    """Which children: ids of nodes, a status ("failed", "unfinished", or one outcome), or the signature of an error."""

    model_config = ConfigDict(extra="forbid")

    nodes: list[int] | None = None
    status: str | None = None
    signature: str = Field(default="", max_length=16)


class RefusalOut(Schema):
    """A child that was not taken on."""

    id: int
    reason: str


class RetryOut(Schema):
    """Ids of the children that get another attempt, those that do not, and whether a flow goes on where it stopped."""

    accepted: list[int]
    refused: list[RefusalOut]
    goes_on: bool = False


class OperationIn(Schema):
    """What is done to which children. `span` is "first-last" by position, `text` in the key of an item. `parameters`
    are those that are other than the batch's for these children, `window` how many are open at a time.
    """

    model_config = ConfigDict(extra="forbid")

    action: Action = Action.RETRY
    nodes: list[int] | None = None
    status: str = ""
    signature: str = Field(default="", max_length=16)
    span: str = Field(default="", pattern=r"^(\d{1,7}-\d{1,7})?$")
    text: str = Field(default="", max_length=200)
    reason: str = Field(default="", max_length=200)
    parameters: dict[str, Any] | None = None
    window: int | None = None


class RefusedOut(Schema):
    """A child that was not taken on, by its position."""

    position: int
    reason: str


class OperationOut(Schema):
    """What was chosen, what was taken on, and what has become of it: mended, failed again, or under way."""

    id: str
    action: str
    words: str
    number: int
    items: int
    confirmed_at: datetime | None
    reason: str
    accepted: int
    refused: list[RefusedOut]
    refused_number: int
    mended: int
    failed: int
    under_way: int


class TerminateIn(Schema):
    """Why, for the record."""

    reason: str = Field(default="", max_length=200)


class DecisionIn(Schema):
    """Whether the batch may start."""

    approved: bool


class FindingOut(Schema):
    """One reason why a batch does not move, and what to do about it. Severities: problem, warning, info."""

    code: str
    severity: str
    subject: str
    what: str
    advice: str
    detail: str
    since: datetime | None


class DiagnosisOut(Schema):
    """Whether the batch changed within the last ten seconds, and what is known to keep it from moving."""

    moving: bool
    findings: list[FindingOut]


class WindowIn(Schema):
    """How many children may be open."""

    window: int


class Accepted(Schema):
    """The operation was asked of Temporal; the batch's status follows."""

    detail: str


class Problem(Schema):
    """Why a request was refused: in one sentence, and for each field."""

    detail: str
    errors: dict[str, list[str]] = Field(default_factory=dict)
