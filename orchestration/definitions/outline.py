"""Outline of a definition: a tree that shows a person what it will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestration.contracts.names import SERVICE_WORKFLOW
from orchestration.definitions.expressions import AllOf, AnyOf, Condition, Not, Operator, Reference, reference_of
from orchestration.definitions.models import Definition, Entity, Pipeline, Pool, Saga, Services, Stage, Steps, Takes
from orchestration.definitions.steps import (
    ApprovalStep,
    FanOutStep,
    IfStep,
    LoopStep,
    OnTimeout,
    ParallelStep,
    RunStep,
    SleepStep,
    Step,
)
from orchestration.plan.plan import Plan

SHOWN = 80
"""Characters of a value in a summary."""


@dataclass(frozen=True)
class OutlineNode:
    """One line of the outline. `kind` is a word such as stage, run, parallel, branch; `name` may be empty."""

    name: str
    kind: str
    summary: str
    children: tuple[OutlineNode, ...] = ()


def outline(definition: Definition) -> OutlineNode:
    """Return the outline of a definition; its root has the definition's kind."""
    match definition:
        case Pipeline(stages=stages):
            lines = [OutlineNode(each.name, "stage", _stage(each)) for each in stages]
            return OutlineNode("", "pipeline", _count(len(lines), "stage") + " in order", tuple(lines))
        case Services():
            return _services(definition)
        case Saga():
            return _saga(definition)
        case Pool(workers=workers, processor=processor):
            return OutlineNode("", "pool", f"{_count(workers, 'long-lived worker')}, each item: {processor}")
        case Entity(key=key, processor=processor, continue_after=after):
            named = f"the field {key}" if key else "the business key"
            summary = f"one workflow for each value of {named}; each operation: {processor}; a new run after {after:,}"
            return OutlineNode("", "entity", summary)
        case Steps(steps=steps):
            return OutlineNode("", "steps", f"{_count(len(steps), 'step')} in order", _lines(steps))
    raise TypeError(f"There is no outline of {type(definition).__name__}.")


def _stage(stage: Stage) -> str:
    kept = f", keeps what has {condition_text(stage.keep)}" if stage.keep is not None else ""
    taken = ", over the results before" if stage.takes is Takes.RESULT else ""
    return f"{_with_plan(stage.processor, stage.plan)}{taken}{kept}"


def _services(definition: Services) -> OutlineNode:
    lines = []
    for each in definition.services:
        work = each.processor if each.workflow_type == SERVICE_WORKFLOW else each.workflow_type
        lines.append(OutlineNode(each.name, "service", f"{work} on {each.task_queue}, at most {_span(each.timeout)}"))
    return OutlineNode("", "services", f"{_count(len(lines), 'service')} at the same time", tuple(lines))


def _saga(definition: Saga) -> OutlineNode:
    lines = []
    for each in definition.steps:
        undo = each.compensation
        below = [OutlineNode("", "compensation", f"{undo.processor}{_given(undo.input)}")] if undo is not None else []
        lines.append(OutlineNode(each.name, "step", f"{each.processor}{_given(each.input)}", tuple(below)))
    number = "one saga per item" if definition.fan_out else "one saga for the batch"
    return OutlineNode("", "saga", f"{_count(len(lines), 'step')} in order, {number}", tuple(lines))


def _lines(steps: Sequence[Step]) -> tuple[OutlineNode, ...]:
    return tuple(map(_line, steps))


def _line(step: Step) -> OutlineNode:
    match step:
        case RunStep(name=name, run=work):
            return OutlineNode(name, "run", f"{work.processor}{_given(work.input)}")
        case ParallelStep(name=name, parallel=steps):
            return OutlineNode(name, "parallel", f"{_count(len(steps), 'step')} at the same time", _lines(steps))
        case IfStep(name=name, condition=condition, then=then, otherwise=otherwise):
            branches = [("then", then), ("else", otherwise)]
            below = [OutlineNode("", "branch", word, _lines(steps)) for word, steps in branches if steps]
            return OutlineNode(name, "if", condition_text(condition), tuple(below))
        case LoopStep(name=name, loop=loop):
            end = loop.until or loop.while_
            assert end is not None
            word = "until" if loop.until is not None else "while"
            summary = f"{word} {condition_text(end)}, at most {_count(loop.max, 'round')}"
            return OutlineNode(name, "loop", summary, _lines(loop.steps))
        case FanOutStep(name=name, fan_out=fan_out):
            over = _over(fan_out.items)
            return OutlineNode(name, "fan_out", f"{_with_plan(fan_out.processor, fan_out.plan)}, over {over}")
        case ApprovalStep(name=name, approval=approval, refused=refused):
            late = "approved" if approval.on_timeout is OnTimeout.APPROVE else "refused"
            below = [OutlineNode("", "branch", "refused", _lines(refused))] if refused else []
            summary = f"{_short(approval.title)}; {late} after {_span(approval.timeout)}"
            return OutlineNode(name, "approval", summary, tuple(below))
        case SleepStep(name=name, sleep=seconds):
            return OutlineNode(name, "sleep", _span(seconds))


def condition_text(condition: Condition) -> str:
    """Return a condition as text: check.status == 200 and not (…)."""
    if isinstance(condition, AllOf):
        return " and ".join(_within(each) for each in condition.all)
    if isinstance(condition, AnyOf):
        return " or ".join(_within(each) for each in condition.any)
    if isinstance(condition, Not):
        return f"not {_within(condition.condition)}"
    if condition.op is Operator.EXISTS:
        return f"{condition.ref} exists"
    return f"{condition.ref} {condition.op} {_value(condition.value)}"


def _within(condition: Condition) -> str:
    text = condition_text(condition)
    return f"({text})" if isinstance(condition, AllOf | AnyOf) else text


def _with_plan(processor: str, plan: Plan) -> str:
    return f"{processor}, chunks of {plan.chunk_size:,}, window {plan.window:,}"


def _over(items: str | Reference | tuple[Any, ...]) -> str:
    if isinstance(items, Reference):
        return f"the list {items.ref}"
    return "the batch's items" if items == "batch" else _count(len(items), "item")


def _given(data: Mapping[str, Any]) -> str:
    text = ", ".join(f"{name}: {_value(value)}" for name, value in data.items())
    return f" with {_short(text)}" if text else ""


def _value(value: Any) -> str:
    if (ref := reference_of(value)) is not None:
        return f"→ {ref}"
    if isinstance(value, Mapping):
        return "{…}"
    if isinstance(value, list | tuple):
        return f"[{_short(', '.join(map(_value, value[:10])))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _span(seconds: float) -> str:
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return _count(int(seconds // size), word)
    return "1 second" if seconds == 1 else f"{seconds:g} seconds"
