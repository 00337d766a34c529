"""Contexts of the schedule pages: the list, one schedule, and the form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page
from django.utils.translation import gettext as _
from pydantic import BaseModel

from dashboard.errors import FieldErrors, OperationError
from dashboard.forms.schedules import OVERLAPS, TimetableForm
from dashboard.forms.shown_values import shown_values
from dashboard.i18n.formatting import StrOrPromise, numeral
from dashboard.models import Batch, Schedule, ScheduleEntry
from dashboard.pages.batch_list import BatchRow
from dashboard.pages.problems import Problem, problems_of
from dashboard.schedules import actions as schedule_actions
from dashboard.schedules.recurrence import timing_in_words
from dashboard.schedules.stored_launch import StoredLaunch
from orchestration.client.schedule_models import ScheduleSnapshot
from orchestration.plan.plan import Plan
from orchestration.processors.catalogue import processors, shown_parameters


@dataclass
class ScheduleFormPage:
    """Context of the schedule form. `problem` is why the next times could not be read."""

    form: TimetableForm
    stored_launch: StoredLaunch
    schedule: Schedule | None = None
    times: Sequence[datetime] = ()
    problem: str = ""

    @property
    def processor(self) -> str:
        """Name of the processor that is launched."""
        return str(self.stored_launch.data["processor"])

    @property
    def problems(self) -> list[Problem]:
        """What has to be fixed before it can be saved."""
        return problems_of(self.form)

    @property
    def overlaps(self) -> Sequence[tuple[str, StrOrPromise, StrOrPromise]]:
        """The overlap policies: value, title and description."""
        return [(policy.value, title, sentence) for policy, (title, sentence) in OVERLAPS.items()]

    def preview_times(self) -> None:
        """Fill in the next times if the timing of the form is valid."""
        self.form.is_valid()
        if self.form.timing is None or self.form.time_errors:
            return
        try:
            self.times = schedule_actions.next_times(self.form.timing)
        except FieldErrors as error:
            self.form.add_errors(error.errors)
        except OperationError as error:
            self.problem = error.message


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule, its snapshot in Temporal (None: deleted there, or Temporal is unreachable), and its last batch."""

    schedule: Schedule
    snapshot: ScheduleSnapshot | None
    last: Batch | None = None

    @property
    def words(self) -> str:
        """The timing in words."""
        return timing_in_words(self.snapshot.timing) if self.snapshot else ""

    @property
    def overlap(self) -> tuple[StrOrPromise, StrOrPromise]:
        """Title and description of the overlap policy."""
        return OVERLAPS[self.snapshot.setting.overlap] if self.snapshot else ("", "")


@dataclass(frozen=True)
class ScheduleListPage:
    """Context of the list. `problem` is why Temporal could not be read."""

    page: Page[Schedule]
    rows: Sequence[ScheduleRow]
    problem: str
    may_operate: bool


@dataclass(frozen=True)
class ScheduleDetailPage:
    """Context of a schedule's page. `failure` is a launch that failed after the last batch."""

    row: ScheduleRow
    batches: Sequence[BatchRow]
    entries: Sequence[ScheduleEntry]
    failure: ScheduleEntry | None
    problem: str
    may_operate: bool
    confirm: str

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """Titles and values of what it launches with, without credentials."""
        schedule = self.row.schedule
        return _shown_parameters(schedule.processor, schedule.request["parameters"])

    @property
    def plan(self) -> list[tuple[str, str]]:
        """Titles and values of its plan, where they differ from the defaults."""
        defaults = Plan().model_dump(mode="json")
        given = {
            name: value for name, value in self.row.schedule.request["plan"].items() if value != defaults.get(name)
        }
        return shown_values(Plan, given)

    @property
    def mark(self) -> str:
        """A digest of what changes without an action on the page; a poll that sends the current one gets no content."""
        shown = [
            self.row.snapshot,
            self.failure,
            self.problem,
            [(row.batch.pk, row.batch.revision) for row in self.batches],
        ]
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def launch_changes(schedule: Schedule, stored: StoredLaunch) -> str:
    """Return what of a schedule's launch changes, without credentials: title: before → after."""
    before, after = _facts(schedule.request, schedule.item_count), _facts(stored.data, stored.count)
    changed = (title for title in {**before, **after} if before.get(title) != after.get(title))
    none = _("not set")
    return ", ".join(f"{title}: {before.get(title) or none} → {after.get(title) or none}" for title in changed)


def _facts(data: Mapping[str, Any], count: int) -> dict[str, str]:
    source = data["source"].get("name") or ""
    facts = {_("Items"): numeral(count), _("File"): source, _("Label"): data["label"]}
    return (
        facts | dict(_shown_parameters(data["processor"], data["parameters"])) | dict(shown_values(Plan, data["plan"]))
    )


def _shown_parameters(name: str, parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return titles and values of the parameters of a processor, which may not exist any more."""
    known = processors().get(name)
    return shown_values(known.parameters_model if known else BaseModel, shown_parameters(name, parameters))
