"""workflow: starts a workflow of any type for each item, in any SDK language, as a child of the item's child."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from orchestration.contracts.item_workflows import DelegatedWorkflow
from orchestration.contracts.names import DELEGATE_WORKFLOW
from orchestration.processors.delegation_policy import id_problem, queue_problem, type_problem
from orchestration.processors.form_hints import DURATION
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.processors.templating import (
    Fields,
    JsonTemplate,
    UnknownField,
    fill_json,
    fill_text,
    secrets_in,
    secrets_in_json,
)

SECRET_REFUSED = "A secret would be stored in Temporal's history: give it to the workflow's own worker instead."  # noqa: S105


class InvalidId(Exception):
    """The item yields a workflow id that is reserved for Canopy."""


class WorkflowParameters(BaseModel):
    """What is started for each item, and where."""

    model_config = ConfigDict(extra="forbid")

    workflow_type: str = Field(
        title="Workflow type",
        min_length=1,
        max_length=500,
        description="As registered by its worker, in any SDK language. Suggestions come from the namespace.",
        json_schema_extra={"suggest": "workflow-types"},
    )
    task_queue: str = Field(
        title="Task queue of the workflow",
        min_length=1,
        max_length=500,
        description="The workers that run it. The task queue of the plan reads items and writes results.",
        json_schema_extra={"suggest": "workflow-queues"},
    )
    argument: JsonTemplate = Field(
        default="",
        title="Argument",
        max_length=20_000,
        description='JSON with item fields as {name}, such as {"order": "{id}"}. Empty: the item as an object.',
        json_schema_extra={"widget": "textarea"},
    )
    workflow_id: str = Field(
        default="",
        title="Workflow id",
        max_length=500,
        description="With item fields, such as order-{id}: no two workflows run with the same id at once, and a "
        "completed one does not run again. Empty: an id below the child's.",
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        le=31_536_000,
        title="Time limit",
        description="How long until Temporal times it out. Empty: no limit.",
        json_schema_extra=DURATION,
    )

    @field_validator("workflow_type", "task_queue")
    @classmethod
    def _reject_targets(cls, given: str, info: ValidationInfo) -> str:
        problem = type_problem(given) if info.field_name == "workflow_type" else queue_problem(given)
        if problem:
            raise ValueError(problem)
        return given

    @field_validator("workflow_id")
    @classmethod
    def _reject_secrets(cls, given: str) -> str:
        if secrets_in(given):
            raise ValueError(SECRET_REFUSED)
        return given

    @field_validator("argument")
    @classmethod
    def _reject_secrets_in_json(cls, given: str) -> str:
        if secrets_in_json(given):
            raise ValueError(SECRET_REFUSED)
        return given


@processor(
    own_loop=False,
    name="workflow",
    title="Workflow",
    summary="Start a workflow of any type for each item, on any task queue and in any SDK language, and wait for it.",
    non_retryable=(UnknownField, InvalidId),
    icon="arrows-pointing-out",
    example='{"order": "A-17", "lines": 3}\n{"order": "A-18", "lines": 1}',
    example_format="jsonl",
    default_plan={"chunk_size": 1, "item_attempts": 1},
    child_workflow=DELEGATE_WORKFLOW,
)
def workflow(item: Fields, parameters: WorkflowParameters, context: ItemContext) -> DelegatedWorkflow:
    """Return the workflow to start for an item. Raises UnknownField, InvalidId."""
    fields = context.fields(item)
    template: Any = json.loads(parameters.argument) if parameters.argument.strip() else None
    name = fill_text(parameters.workflow_id, fields).strip()
    if problem := id_problem(name):
        raise InvalidId(problem)
    return DelegatedWorkflow(
        workflow_type=parameters.workflow_type,
        task_queue=parameters.task_queue,
        argument=item.model_dump() if template is None else fill_json(template, fields),
        workflow_id=name[:1000],
        timeout=parameters.timeout,
    )
