"""Validation of a launch: turns the body of a request into a LaunchRequest, or raises its errors by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.conf import settings
from ninja import Schema
from pydantic import ConfigDict, Field, ValidationError, field_validator

from dashboard.definitions.saving import check
from dashboard.errors import FieldErrors, reasons_by_field
from dashboard.inputs import survey as input_survey
from dashboard.inputs import uploads
from dashboard.inputs.rows import InputRow
from dashboard.inputs.source import Format, Source, list_source
from dashboard.inputs.strict_json import DEPTH_LIMIT, TooDeep, nests_deeper
from dashboard.inputs.survey import SURVEYED_ROWS, Survey
from dashboard.launching.definition_request import LaunchItems, definition_request, first_processor, item_problems
from dashboard.launching.request import LaunchRequest
from dashboard.launching.validation import plan_problems
from dashboard.models import DefinitionVersion
from orchestration.plan.plan import Plan
from orchestration.plan.presets import PRESETS, UnknownPreset, get_preset
from orchestration.processors.catalogue import UnknownProcessor, get_processor, processors
from orchestration.processors.parameters import stored
from orchestration.processors.processor import Processor

BAD_ROWS_LISTED = 100

T = TypeVar("T")


class BatchIn(Schema):
    """A launch: either `items` or `count`. `key` names the field that is the items' business key.

    The parameters and plan of a `preset` are the defaults for those not given. `definition` (the id of a saved version)
    launches that flow instead of a processor; it takes items only if the definition works over items.
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

    @field_validator("items")
    @classmethod
    def _bounded(cls, items: list[Any] | None) -> list[Any] | None:
        """Refuse items that are too deep to be written as JSON again."""
        for number, item in enumerate(items or (), start=1):
            if nests_deeper(item, DEPTH_LIMIT + 1):
                raise ValueError(f"Item {number}: {TooDeep()}")
        return items


def launch_request(given: BatchIn, idempotency_key: str | None = None) -> LaunchRequest:
    """Return the validated launch. Raises FieldErrors."""
    if given.definition is not None:
        return _definition_request(given, given.definition, idempotency_key)
    errors = dict[str, list[str]]()
    given = _with_preset(given)
    try:
        processor = get_processor(given.processor)
    except UnknownProcessor:
        known = ", ".join(processors())
        raise FieldErrors({"processor": [f"There is no processor {given.processor!r}. There are: {known}."]}) from None
    parameters = _validated("parameters", lambda: processor.accept_parameters(given.parameters), errors)
    if parameters is not None:
        parameters, gone = uploads.resolve_uploads(parameters)
        errors |= {f"parameters.{name}": [reason] for name, reason in gone.items()}
    plan = _validated("plan", lambda: Plan.model_validate({**processor.default_plan, **given.plan}), errors)
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= 190:
        errors["Idempotency-Key"] = ["Enter 1 to 190 characters."]
    is_read_later = plan is not None and plan.paged and given.items is None
    source, survey = _survey_items(given, processor, errors, SURVEYED_ROWS if is_read_later else None)
    if plan is not None and not errors:
        errors |= FieldErrors(plan_problems(processor.name, plan, survey.good)).below("plan").errors
    if errors or parameters is None or plan is None or source is None:
        raise FieldErrors(errors)
    return LaunchRequest(
        processor=processor.name,
        parameters=stored(parameters),
        plan=plan,
        count=0 if is_read_later else survey.good,
        rows=(lambda: iter(())) if is_read_later else _rows_of(source, processor),
        digest=survey.digest,
        label=given.label,
        source=_source_of(source) | ({"count": source.count} if is_read_later else {}),
        idempotency_key=f"api:{idempotency_key}" if idempotency_key else None,
        via="api",
    )


def _definition_request(given: BatchIn, version_id: int, idempotency_key: str | None) -> LaunchRequest:
    version = DefinitionVersion.objects.filter(pk=version_id).first()
    if version is None:
        raise FieldErrors({"definition": [f"There is no version {version_id} of a definition."]})
    errors = dict[str, list[str]]()
    plan = _validated("plan", lambda: Plan.model_validate(given.plan), errors)
    checked = check(version.text)
    if checked.definition is None:
        errors["definition"] = [str(error.message) for error in checked.errors]
    items = None
    if checked.definition is not None and (name := first_processor(checked.definition)):
        processor = get_processor(name)
        source, survey = _survey_items(given, processor, errors, None)
        errors |= {place: [reason] for place, reason in item_problems(checked.definition, survey.good).items()}
        if source is not None:
            items = LaunchItems(survey.good, _rows_of(source, processor), survey.digest, _source_of(source))
    elif given.items is not None or given.count is not None:
        errors["items"] = ["This definition takes no items."]
    if errors or plan is None:
        raise FieldErrors(errors)
    key = f"api:{idempotency_key}" if idempotency_key else None
    return definition_request(version, plan, given.label, key, "api", items)


def _rows_of(source: Source, processor: Processor) -> Callable[[], Iterator[InputRow]]:
    return lambda: input_survey.good_rows(source, processor, set())


def _source_of(source: Source) -> dict[str, Any]:
    return {"kind": str(source.format), "upload": None, "name": "", "key": source.key, "left_out": 0}


def _with_preset(given: BatchIn) -> BatchIn:
    if given.preset is None:
        return given
    try:
        preset = get_preset(given.preset)
    except UnknownPreset:
        known = ", ".join(each.name for each in PRESETS)
        raise FieldErrors({"preset": [f"There is no preset {given.preset!r}. There are: {known}."]}) from None
    return given.model_copy(
        update={
            "processor": given.processor or preset.processor,
            "parameters": {**preset.parameters, **given.parameters},
            "plan": {**preset.plan, **given.plan},
        }
    )


def _survey_items(
    given: BatchIn, processor: Processor, errors: dict[str, list[str]], sample: int | None
) -> tuple[Source | None, Survey]:
    if (given.items is None) == (given.count is None):
        errors["items"] = ["Provide either items or count."]
        return None, Survey()
    if given.items is not None:
        source = list_source(given.items, given.key or "")
        place = "items"
    else:
        source = Source(Format.COUNT, count=given.count or 0)
        place = "count"
    survey = input_survey.survey(source, processor, limit=settings.CANOPY_MAX_ITEMS, sample=sample)
    if survey.error:
        errors[place] = [survey.error]
    elif survey.bad:
        errors[place] = [f"Item {row.line}: {row.message}" for row in survey.bad[:BAD_ROWS_LISTED]]
    return source, survey


def _validated(place: str, validate: Callable[[], T], errors: dict[str, list[str]]) -> T | None:
    try:
        return validate()
    except ValidationError as error:
        errors |= reasons_by_field(error.errors(), below=place)
        return None
