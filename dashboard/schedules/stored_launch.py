"""The launch that a schedule stores: a launch request as JSON, and the same request again whenever one is due."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from django.conf import settings
from django.core import signing
from django.utils.translation import ngettext
from pydantic import ValidationError

from dashboard.definitions.saving import check
from dashboard.i18n.formatting import numeral
from dashboard.ids import new_id
from dashboard.inputs import survey as input_survey
from dashboard.inputs.dialect import Dialect
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
"""Fields of a launch request that are not stored, but made by each launch."""

SALT = "schedule"


class CannotLaunch(Exception):
    """A schedule's launch is no longer valid; the message says why. Not worth a retry."""


@dataclass(frozen=True)
class StoredLaunch:
    """The JSON of a launch request, and its number of items, which are read from its `source` at each launch.

    `id` is that of the schedule that it becomes, so that a form sent twice creates one.
    """

    data: dict[str, Any]
    count: int
    id: str = field(default_factory=new_id)

    @classmethod
    def of(cls, request: LaunchRequest) -> StoredLaunch:
        """Return what is stored of a request."""
        data = {
            each.name: getattr(request, each.name) for each in fields(request) if each.name not in PER_LAUNCH_FIELDS
        }
        return cls(data | {"plan": request.plan.model_dump(mode="json")}, request.count)

    @classmethod
    def from_token(cls, token: str) -> StoredLaunch:
        """Verify and read a token of `to_token`. Raises signing.BadSignature."""
        return cls(**signing.loads(token, salt=SALT))

    def to_token(self) -> str:
        """Return it as a signed token for a hidden field, which a browser cannot alter after it was validated."""
        return signing.dumps(asdict(self), salt=SALT, compress=True)


def request_of(schedule: Schedule, due: DueLaunch) -> LaunchRequest:
    """Return the launch request that is due. Raises CannotLaunch."""
    data = schedule.request
    try:
        processor = _item_processor(data)
        plan = Plan.model_validate(data["plan"])
    except UnknownProcessor:
        raise CannotLaunch(f"The processor {data['processor']!r} no longer exists.") from None
    except ValidationError as error:
        raise CannotLaunch(f"Its parameters or plan are no longer valid: {error}") from error
    items = _items_of(schedule, processor) if processor is not None else LaunchItems()
    per_launch = {
        "plan": plan,
        "count": items.count,
        "rows": items.rows,
        "digest": items.digest,
        "idempotency_key": due.key,
        "via": "schedule",
        "schedule": schedule.pk,
    }
    return LaunchRequest(**data | per_launch)


def _item_processor(data: dict[str, Any]) -> Processor | None:
    """Return the processor that validates the items; None for a definition without items.

    Raises UnknownProcessor, ValidationError, CannotLaunch.
    """
    if data.get("definition") is None:
        processor = get_processor(data["processor"])
        processor.accept_parameters(data["parameters"])  # stored by an earlier release, which took credentials
        return processor
    version = DefinitionVersion.objects.get(pk=data["definition"])
    checked = check(version.text)
    if checked.definition is None:
        raise CannotLaunch(f"{version.definition.name} is no longer valid: {checked.errors[0]}")
    name = first_processor(checked.definition)
    return get_processor(name) if name else None


def _items_of(schedule: Schedule, processor: Processor) -> LaunchItems:
    """Read and validate the items. Raises CannotLaunch."""
    source = source_of(schedule)
    survey = input_survey.survey(source, processor, limit=settings.CANOPY_MAX_ITEMS)
    if survey.error or len(survey.bad_lines) > schedule.request["source"].get("left_out", 0):
        first = f" Line {survey.bad[0].line}: {survey.bad[0].message}" if survey.bad else ""
        bad = len(survey.bad_lines)
        invalid = ngettext(
            "%(number)s of its items is no longer valid.", "%(number)s of its items are no longer valid.", bad
        )
        raise CannotLaunch(survey.error or f"{invalid % {'number': numeral(bad)}}{first}")
    read = replace(source, dialect=survey.dialect)
    return LaunchItems(survey.good, lambda: input_survey.good_rows(read, processor, survey.bad_lines), survey.digest)


def source_of(schedule: Schedule) -> Source:
    """Return the source of a schedule's items. Raises CannotLaunch if its upload is gone."""
    source = schedule.request["source"]
    kind = Format(source["kind"])
    if kind is Format.COUNT:
        return Source(kind, count=schedule.item_count)
    upload = schedule.upload
    if upload is None or not upload.file.storage.exists(str(upload.file.name)):
        raise CannotLaunch("The file with its items no longer exists. Create a new schedule from the launch form.")
    return Source(kind, opener(upload), key=source.get("key") or "", dialect=Dialect.of(source.get("dialect")))
