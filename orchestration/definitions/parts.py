"""What several kinds of definitions share: names, data, a unit of work, the plan of a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from orchestration.definitions.expressions import Part
from orchestration.plan.plan import Plan

MAX_SECONDS = 365 * 86_400

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=60,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        description="Unique within the definition; letters, digits, - and _ only, as it becomes part of workflow ids.",
    ),
]
ProcessorName = Annotated[str, Field(min_length=1, max_length=100)]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
Data = dict[str, Any]
"""JSON. A mapping whose only key is `ref` stands for the value it refers to: {"ref": "step.field"}."""


class Work(Part):
    """One item's work: a processor, its parameters, and the item (`input`; {} where nothing is given)."""

    processor: ProcessorName
    parameters: Data = {}
    input: Data = {}


UNSUITED_TO_STAGES = ("paged", "resource_field", "fire_and_forget", "summarise")
"""Options that the plan of a stage cannot have. A rollback undoes the stage's own children, not earlier stages."""


def _suits_a_stage(plan: Plan) -> Plan:
    return refuse_unsuited(plan, "a stage", {name: bool(getattr(plan, name)) for name in UNSUITED_TO_STAGES})


def refuse_unsuited(plan: Plan, part: str, unsuited: Mapping[str, bool]) -> Plan:
    """Return the plan. Raises PydanticCustomError if an option of `unsuited` (name: whether it is set) is set."""
    if found := [name for name, is_set in unsuited.items() if is_set]:
        names = {"part": part, "names": ", ".join(found)}
        raise PydanticCustomError("unsuited", "The plan of {part} cannot have {names}.", names)
    return plan


StagePlan = Annotated[Plan, AfterValidator(_suits_a_stage)]
"""The plan of a fan-out within a flow."""
