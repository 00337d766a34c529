"""A launch request as data: how a schedule keeps what it launches, and makes the same request again at each time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from django.conf import settings
from django.core import signing
from pydantic import ValidationError

from dashboard.definitions.saving import check
from dashboard.ids import new_id
from dashboard.inputs import survey as input_survey
from dashboard.inputs.source import Format, Source
from dashboard.inputs.uploads import opener
from dashboard.launching.definition_request import LaunchItems, first_processor
from dashboard.launching.request import LaunchRequest
from dashboard.models import DefinitionVersion, Schedule
from orchestration.contracts.dashboard_activities import DueLaunch
from orchestration.plan.plan import Plan
from orchestration.processors.catalogue import UnknownProcessor, get_processor
from orchestration.processors.processor import Processor

PER_LAUNCH_FIELDS = {"rows", "count", "digest", "idempotency_key", "via", "schedule"}
"""What every launch makes anew."""

SALT = "schedule"


class CannotLaunch(Exception):
    """What a schedule is to launch can no longer be launched: why, for a person. Another try does not help."""


@dataclass(frozen=True)
class StoredLaunch:
    """What has to be kept of a launch request, JSON-able, and its number of items; those stay where `source` says.

    `id` is that of the schedule that it becomes: a form sent twice makes one.
    """

    data: dict[str, Any]
    count: int
    id: str = field(default_factory=new_id)

    @classmethod
    def of(cls, request: LaunchRequest) -> StoredLaunch:
        """Keep a request."""
        data = {
            each.name: getattr(request, each.name) for each in fields(request) if each.name not in PER_LAUNCH_FIELDS
        }
        return cls(data | {"plan": request.plan.model_dump(mode="json")}, request.count)

    @classmethod
    def unsealed(cls, token: str) -> StoredLaunch:
        """Read what `sealed` returned. Raises signing.BadSignature for anything else."""
        return cls(**signing.loads(token, salt=SALT))

    def sealed(self) -> str:
        """Return it signed, to travel through a form: it was validated, and nobody can change it on the way."""
        return signing.dumps(asdict(self), salt=SALT, compress=True)


def request_of(schedule: Schedule, due: DueLaunch) -> LaunchRequest:
    """Return the request of a schedule's launch that is due. Raises CannotLaunch."""
    data = schedule.request
    try:
        processor = _item_processor(data)
        plan = Plan.model_validate(data["plan"])
    except UnknownProcessor:
        raise CannotLaunch(f"There is no processor {data['processor']!r} any more.") from None
    except ValidationError as error:
        raise CannotLaunch(f"Its parameters or plan are no longer valid: {error}") from error
    given = _items_of(schedule, processor) if processor is not None else LaunchItems()
    made = {
        "plan": plan,
        "count": given.count,
        "rows": given.rows,
        "digest": given.digest,
        "idempotency_key": due.key,
        "via": "schedule",
        "schedule": schedule.pk,
    }
    return LaunchRequest(**data | made)


def _item_processor(data: dict[str, Any]) -> Processor | None:
    """Return what checks the items; None for a definition over no items. Raises as request_of's parts do."""
    if data.get("definition") is None:
        processor = get_processor(data["processor"])
        processor.validate_parameters(data["parameters"])
        return processor
    version = DefinitionVersion.objects.get(pk=data["definition"])
    checked = check(version.text)
    if checked.definition is None:
        raise CannotLaunch(f"{version.definition.name} is not valid any more: {checked.errors[0]}")
    name = first_processor(checked.definition)
    return get_processor(name) if name else None


def _items_of(schedule: Schedule, processor: Processor) -> LaunchItems:
    """Read and check the items anew. Raises CannotLaunch."""
    source = source_of(schedule)
    survey = input_survey.survey(source, processor, limit=settings.CANOPY_MAX_ITEMS)
    if survey.error or len(survey.bad_lines) > schedule.request["source"].get("left_out", 0):
        first = f" Line {survey.bad[0].line}: {survey.bad[0].message}" if survey.bad else ""
        raise CannotLaunch(survey.error or f"{len(survey.bad_lines):,} of its items are not valid any more.{first}")
    return LaunchItems(survey.good, lambda: input_survey.rows(source, processor, survey.bad_lines), survey.digest)


def source_of(schedule: Schedule) -> Source:
    """Return where a schedule's items come from. Raises CannotLaunch where the upload is gone."""
    told = schedule.request["source"]
    kind = Format(told["kind"])
    if kind is Format.COUNT:
        return Source(kind, count=schedule.item_count)
    upload = schedule.upload
    if upload is None or not upload.file.storage.exists(str(upload.file.name)):
        raise CannotLaunch("The file with its items is gone. Make another schedule from the launch form.")
    return Source(kind, opener(upload), key=told.get("key") or "")
