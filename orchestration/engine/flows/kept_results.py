"""Kept results: what a flow has of its steps' results, small ones themselves and references to those in the store.

What needs a value from the store is done where the store is, by an activity. Workflow code: deterministic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.flows import (
        AnswerInput,
        ConditionInput,
        FanOutOverResult,
        FanOutRequest,
        Section,
        StepInput,
    )
    from orchestration.contracts.names import (
        BEGIN_FAN_OUT_OVER_STORED_ACTIVITY,
        CONDITION_HOLDS_ACTIVITY,
        KEEP_ANSWER_ACTIVITY,
    )
    from orchestration.contracts.patches import STEP_RESULTS_STORED
    from orchestration.contracts.step_results import StoredResult, inline_limit
    from orchestration.definitions.expressions import Condition, fill, holds, resolve
    from orchestration.definitions.stored_values import references_in, references_of, results_named, stored_behind
    from orchestration.engine.cancellation import to_its_end
    from orchestration.engine.flows.bounds import size_of
    from orchestration.engine.item_inserts import insert_items
    from orchestration.engine.store_activities import run_store_activity


class KeptResults:
    """How much a flow has of its results, and how steps get at those that it has not."""

    def __init__(self, results: Iterable[Any]) -> None:
        """Take the results that an earlier run of the flow left."""
        self._total = sum(map(size_of, results))

    def add(self, result: Any) -> None:
        """Count a result."""
        self._total += size_of(result)

    def step_over(self, results: Mapping[str, Any], step: StepInput, row: str) -> StepInput:
        """Return a step whose parameters and data are filled with results, or can be where it runs.

        Its own result is kept as that of its row. Raises Missing.
        """
        references = [*references_in(step.parameters), *references_in(step.data)]
        if stored_behind(references, results):
            step = replace(step, results=results_named(references, results))
        else:
            step = replace(step, parameters=fill(step.parameters, results), data=fill(step.data, results))
        if workflow.patched(STEP_RESULTS_STORED):
            step = replace(step, keep=row, inline=inline_limit(self._total))
        return step

    async def answer_of(self, given: AnswerInput, result: Any) -> Any:
        """Return what a child has returned, or where that is large the reference to it: it is in history once only."""
        is_large = StoredResult.of(result) is None and size_of(result) > inline_limit(self._total)
        if is_large and workflow.patched(STEP_RESULTS_STORED):
            result = await to_its_end(run_store_activity(KEEP_ANSWER_ACTIVITY, given, summary=given.name))
        self.add(result)
        return result


async def condition_holds(batch_id: str, condition: Condition, results: Mapping[str, Any]) -> bool:
    """Whether a condition over results holds."""
    references = list(references_of(condition))
    if not stored_behind(references, results):
        return holds(condition, results)
    as_data = condition.model_dump(mode="json", by_alias=True, exclude_unset=True)
    given = ConditionInput(batch_id, as_data, results_named(references, results))
    return bool(await run_store_activity(CONDITION_HOLDS_ACTIVITY, given, result_type=bool))


def list_of(name: str, ref: str, results: Mapping[str, Any]) -> list[Any] | None:
    """Return the list over which a step fans out, or None where it is in the store.

    Raises Missing, and ApplicationError for what is no list.
    """
    if stored_behind([ref], results):
        return None
    return checked_list(name, resolve(ref, results))


async def fan_out_over_stored(name: str, ref: str, results: Mapping[str, Any], wanted: FanOutRequest) -> Section:
    """Insert the items and children of a step that fans out over a list in the store."""
    over = FanOutOverResult(wanted, name, ref, results_named([ref], results))
    return await insert_items(BEGIN_FAN_OUT_OVER_STORED_ACTIVITY, over, Section, summary=name)


def checked_list(name: str, items: Any) -> list[Any]:
    """Return the items of a step that fans out. Raises ApplicationError where they are no list."""
    if not isinstance(items, list):
        message = f"{name}: its items do not refer to a list."
        raise ApplicationError(message, type="NotAList", non_retryable=True)
    return items
