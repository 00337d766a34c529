"""Results of steps in the store: kept where they are large, and loaded for what refers to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from json import loads
from typing import Any

from pydantic import TypeAdapter
from temporalio.exceptions import ApplicationError

from orchestration.contracts.flows import AnswerInput, ConditionInput, FanOutOverResult, StepInput
from orchestration.contracts.step_results import (
    INLINE_LIMIT,
    RESULT_LIMIT,
    STORED_KEY,
    StepResult,
    StoredResult,
    item_reference,
    json_of,
    result_note,
    text_of,
)
from orchestration.contracts.stores import StepStore
from orchestration.definitions.expressions import Condition, Missing, fill, holds, resolve
from orchestration.definitions.stored_values import (
    references_in,
    references_of,
    stored_behind,
    stored_in,
    with_loaded,
)
from orchestration.engine.flows.bounds import RESULT_TOO_LARGE, bounded, check_result
from orchestration.engine.flows.kept_results import checked_list

CONDITION: TypeAdapter[Condition] = TypeAdapter(Condition)


class StepResults:
    """Keeps and loads results. `call` calls a function of the store in a thread."""

    def __init__(self, store: StepStore, call: Callable[..., Awaitable[Any]]) -> None:
        self._store, self._call = store, call

    async def kept(self, step: StepInput, result: Any) -> Any:
        """Return a result that its flow may have itself, or else keep it and return the reference to it.

        Raises ApplicationError, not retried, for one that is too large.
        """
        if not step.keep:
            check_result(step.name, result)
            return result
        text = json_of(result)
        if len(text) <= step.inline and len(text.encode(errors="replace")) <= step.inline and STORED_KEY not in text:
            return result
        return await self._keep(StepResult.of(step.batch_id, step.keep, text), step.name, result)

    async def kept_answer(self, given: AnswerInput, result: Any) -> Any:
        """Keep what a workflow has returned, and return the reference to it."""
        return await self._keep(StepResult.of(given.batch_id, given.keep, json_of(result)), given.name, result)

    async def _keep(self, kept: StepResult, name: str, result: Any) -> Any:
        if kept.size > RESULT_LIMIT:
            message = (
                f"The result of {name} has {kept.size:,} bytes, and that of a step may have {RESULT_LIMIT:,}: "
                "have it write the data to where the next step can read it, and return where that is."
            )
            raise ApplicationError(message, type=RESULT_TOO_LARGE, non_retryable=True)
        await self._call(self._store.write_step_result, kept)
        return StoredResult(kept.id, kept.size, result_note(result)).as_data()

    async def filled(self, step: StepInput) -> StepInput:
        """Return a step whose parameters and data are filled. Raises ApplicationError, not retried."""
        references = [*references_in(step.parameters), *references_in(step.data)]
        results = await self._loaded(step.batch_id, references, step.results)
        try:
            parameters, data = fill(step.parameters, results), fill(step.data, results)
        except Missing as error:
            raise _missing(error) from error
        return replace(step, parameters=parameters, data=data, results={})

    async def items_of(self, wanted: FanOutOverResult) -> list[Any]:
        """Return the list over which a step fans out. Raises ApplicationError, not retried."""
        results = await self._loaded(wanted.request.batch_id, [wanted.ref], wanted.results)
        try:
            return checked_list(wanted.name, resolve(wanted.ref, results))
        except Missing as error:
            raise _missing(error) from error

    async def holds(self, given: ConditionInput) -> bool:
        """Whether a condition holds."""
        condition = CONDITION.validate_python(given.condition)
        return holds(condition, await self._loaded(given.batch_id, references_of(condition), given.results))

    async def whole(self, batch_id: str, results: Mapping[str, Any]) -> Any:
        """Return results by name with those from the store; what is too large for one result is left out, and says so.

        Loads one result at a time, and none that would not fit.
        """
        sizes = {name: sum(each.bytes for each in stored_in(result)) for name, result in results.items()}
        found, total = dict(results), 0
        for name in sorted(sizes, key=lambda each: (sizes[each], each)):
            total += sizes[name]
            if total > RESULT_LIMIT:
                found[name] = {"left_out": "too large to be returned", "bytes": sizes[name]}
            else:
                found |= await self._loaded(batch_id, [name], {name: results[name]})
        return bounded(found, RESULT_LIMIT)

    async def _loaded(self, batch_id: str, references: Iterable[str], results: Mapping[str, Any]) -> dict[str, Any]:
        """Return results with what references need of the store."""
        loaded = dict[str, Any]()
        for stored in stored_behind(references, results):
            loaded[stored.id] = loads(text_of(await self._call(self._store.read_step_result, batch_id, stored.id)))
        return {name: with_loaded(result, loaded) for name, result in results.items()}


def reference_to_item(index: int, data: dict[str, Any]) -> dict[str, Any]:
    """Return an item's data, or where a flow may not have that itself a reference to it."""
    text = json_of(data)
    size = len(text.encode(errors="replace"))
    if size <= INLINE_LIMIT and STORED_KEY not in text:
        return data
    return StoredResult(item_reference(index), size).as_data()


def _missing(error: Missing) -> ApplicationError:
    return ApplicationError(str(error), type=type(error).__name__, non_retryable=True)
