"""Contexts of the launch pages: the catalogue, and the forms of a launch with the survey of its items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.forms import BoundField
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from pydantic import BaseModel

from dashboard.definitions.stages import definition_of
from dashboard.forms.items import ItemsForm, read_as
from dashboard.forms.plan_form import advanced, changed, question
from dashboard.forms.pydantic_forms import PydanticForm
from dashboard.i18n.formatting import numeral, translated
from dashboard.inputs import survey as input_survey
from dashboard.inputs.dialect import ENCODINGS, GUESSED
from dashboard.inputs.source import Format, Source
from dashboard.inputs.survey import Survey
from dashboard.launching.definition_request import LaunchItems, definition_request, plan_of
from dashboard.launching.request import LaunchRequest
from dashboard.models import Batch, DefinitionVersion, Schedule, Upload
from dashboard.pages.launch_sentence import launch_sentence
from dashboard.pages.outline import OutlineRow, outline_rows
from dashboard.pages.problems import Problem, problems_of
from dashboard.queries.item_durations import seconds_per_item
from dashboard.queries.task_queues import unpolled_warning
from orchestration.definitions.models import Definition, Pipeline
from orchestration.definitions.outline import outline
from orchestration.plan.layout import Layout
from orchestration.plan.options import FAILURES, SPEED
from orchestration.plan.plan import Plan
from orchestration.plan.presets import Preset
from orchestration.plan.validation import warnings
from orchestration.processors.parameters import stored
from orchestration.processors.processor import Processor

PASTED = "pasted items"
"""Name of the upload that stores pasted text."""


class NoParameters(BaseModel):
    """The empty parameters of a definition: its text has them."""


@dataclass
class LaunchPage:
    """Context of the launch page and of its preview."""

    processor: Processor
    items: ItemsForm
    parameters: PydanticForm
    plan: PydanticForm
    key: str
    may_operate: bool
    upload: Upload | None = None
    survey: Survey | None = None
    source: Source | None = None
    like: Batch | None = None
    preset: Preset | None = None
    version: DefinitionVersion | None = None
    schedule: Schedule | None = None
    """The schedule whose launch is edited, if nothing is launched now."""

    @property
    def main_parameters(self) -> list[BoundField]:
        """The parameters that are not advanced."""
        return [field for field in self.parameters if not _is_advanced(field)]

    @property
    def speed(self) -> list[BoundField]:
        """The fields of how fast it runs."""
        return question(self.plan, SPEED)

    @property
    def failure(self) -> list[BoundField]:
        """The fields of what happens on failure."""
        return question(self.plan, FAILURES)

    @property
    def advanced(self) -> list[tuple[str, list[BoundField]]]:
        """The other fields of parameters and plan, by group."""
        own = [field for field in self.parameters if _is_advanced(field)]
        return [*([("Parameters", own)] if own else []), *advanced(self.plan)]

    @property
    def changed(self) -> int:
        """How many advanced fields of a form that is shown for the first time differ from the defaults."""
        return 0 if self.plan.is_bound else changed(self.plan)

    @property
    def is_advanced_open(self) -> bool:
        """Whether the advanced fields are shown at once: they have errors, or a preset is about them."""
        has_errors = any(field.errors for _name, fields in self.advanced for field in fields)
        return has_errors or bool(self.preset is not None and self.changed)

    @property
    def problems(self) -> list[Problem]:
        """What has to be fixed before it can be launched."""
        found = [*problems_of(self.items), *problems_of(self.parameters), *problems_of(self.plan)]
        if self.items.is_bound and self.needs_choice:
            found.append(Problem("preview", _("Items"), _("Some rows are invalid: fix them or leave them out.")))
        return found

    @property
    def sentence(self) -> str:
        """What would be launched, in one sentence; empty if that is not known yet."""
        if self.problems or not self.count:
            return ""
        plan = self._effective_plan
        if plan is None:
            return ""
        stages = self.definition.stages if isinstance(self.definition, Pipeline) else ()
        queues = {stage.plan.task_queue for stage in stages} or {plan.task_queue}
        return launch_sentence(plan, self.layout, queues, self._seconds_per_item)

    @property
    def _seconds_per_item(self) -> float | None:
        if self.version is not None:
            return None
        if self.processor.estimate is not None:
            return self.processor.estimate(self.parameters.model)
        return seconds_per_item(self.processor.name)

    @property
    def _effective_plan(self) -> Plan | None:
        """The plan of the items' fan-out, of a pipeline that of its first stage; None for an invalid form."""
        plan = self.checked_plan
        if isinstance(self.definition, Pipeline):
            return self.definition.stages[0].plan
        if self.definition is not None and plan is not None:
            return plan_of(self.definition, plan)
        return plan

    @property
    def stored_file(self) -> Upload | None:
        """The uploaded file, or pasted text that is too large to show again."""
        is_shown = self.upload is not None and self.upload.name == PASTED and self.items["text"].value()
        return None if is_shown else self.upload

    @property
    def title(self) -> str:
        """What is launched."""
        return self.version.definition.name if self.version is not None else str(translated(self.processor.title))

    @property
    def definition(self) -> Definition | None:
        """The definition that is launched, if it is not a processor."""
        return definition_of(self.version.pk) if self.version is not None else None

    @property
    def outline(self) -> list[OutlineRow]:
        """The rows of the definition's outline."""
        return outline_rows(outline(self.definition)) if self.definition is not None else []

    @property
    def action(self) -> str:
        """The URL that takes the form, wherever its errors are shown."""
        if self.schedule is not None:
            return reverse("schedule-request", args=[self.schedule.pk])
        if self.version is not None:
            return f"{reverse('definition-launch')}?definition={self.version.pk}"
        return reverse("launch", args=[self.processor.name])

    @property
    def preview_url(self) -> str:
        """The URL that previews the form."""
        if self.version is not None:
            return reverse("definition-items-preview", args=[self.version.pk])
        return reverse("launch-preview", args=[self.processor.name])

    @property
    def is_valid(self) -> bool:
        """Whether it can be launched: valid forms, and bad rows only if they are left out."""
        forms_valid = [form.is_valid() for form in (self.items, self.parameters, self.plan)]
        return all(forms_valid) and self.survey is not None and not self.survey.error and not self.needs_choice

    @property
    def needs_choice(self) -> bool:
        """Whether bad rows are not left out yet, or all rows are bad."""
        if self.survey is None or not self.survey.bad_lines:
            return False
        return not self.survey.good or not self.items.cleaned_data.get("leave_out")

    @property
    def checked_plan(self) -> Plan | None:
        """The plan of a valid form."""
        return self.plan.model if self.plan.is_bound and self.plan.is_valid() else None  # type: ignore[return-value]

    @property
    def count(self) -> int:
        """Number of items that would be launched."""
        return self.survey.good if self.survey else 0

    @property
    def layout(self) -> Layout | None:
        """The layout of the tree if it is known before the batch runs; of a pipeline that of its first stage."""
        plan = self._effective_plan
        return Layout.of(plan, self.count) if plan is not None and self.count and not plan.paged else None

    @property
    def is_paged(self) -> bool:
        """Whether the items are read while the batch runs: the survey is of the first ones only."""
        return self.checked_plan is not None and self.checked_plan.paged

    @property
    def read_as(self) -> Sequence[tuple[str, str]]:
        """How the items' text was read: what of its dialect matters for its format, with its value."""
        if self.survey is None or self.source is None or not self.survey.dialect.is_known:
            return ()
        return read_as(self.survey.dialect, is_csv=self.source.format is Format.CSV)

    @property
    def warnings(self) -> Sequence[str]:
        """Warnings about the plan, the items and the task queue."""
        plan = self.checked_plan
        found = list(warnings(plan, self.count)) if plan is not None and self.count and not plan.paged else []
        if self.survey is not None and self.survey.duplicates:
            found.append(
                ngettext(
                    "%(number)s duplicate key; each row is still an item of its own.",
                    "%(number)s duplicate keys; each row is still an item of its own.",
                    self.survey.duplicates,
                )
                % {"number": numeral(self.survey.duplicates)}
            )
        if self.survey is not None and self.source is not None and self._is_guessed(self.survey, self.source):
            found.append(
                _("The file is not UTF-8. It was read as %(encoding)s: choose another encoding if letters look wrong.")
                % {"encoding": ENCODINGS[self.survey.dialect.encoding]}
            )
        if plan is not None and (unserved := unpolled_warning(plan.task_queue)):
            found.append(unserved)
        return found

    @staticmethod
    def _is_guessed(survey: Survey, source: Source) -> bool:
        return not source.dialect.encoding and survey.dialect.encoding in GUESSED

    def add_plan_errors(self, errors: Mapping[str, str | list[str]]) -> None:
        """Add errors to the fields of the plan."""
        for name, reasons in errors.items():
            self.plan.add_error(name, reasons)

    def request(self) -> LaunchRequest:
        """Return the launch request of a valid page."""
        request = self._definition_request(self.version) if self.version is not None else self._processor_request()
        return replace(request, idempotency_key=f"{self.key}:{request.fingerprint[:16]}")

    def _definition_request(self, version: DefinitionVersion) -> LaunchRequest:
        request = self._processor_request()
        items = LaunchItems(request.count, request.rows, request.digest, request.source)
        return definition_request(version, request.plan, request.label, None, "form", items)

    def _processor_request(self) -> LaunchRequest:
        assert self.survey is not None
        assert self.source is not None
        assert isinstance(self.plan.model, Plan)
        survey, plan, processor = self.survey, self.plan.model, self.processor
        source, dialect = replace(self.source, dialect=survey.dialect), self.source.dialect.choices
        return LaunchRequest(
            processor=self.processor.name,
            parameters=stored(self.parameters.model),
            plan=plan,
            count=0 if plan.paged else survey.good,
            rows=lambda: iter(()) if plan.paged else input_survey.good_rows(source, processor, survey.bad_lines),
            digest=f"{self.upload.sha256 if self.upload else ''}{survey.digest}",
            label=self.items.cleaned_data["label"],
            source={
                "kind": str(source.format),
                "upload": self.upload.pk if self.upload else None,
                "name": self.upload.name if self.upload else "",
                "key": source.key,
                "left_out": len(survey.bad_lines),
                **({"dialect": dialect} if dialect else {}),
                **({"count": source.count, "leave_out": self.items.cleaned_data["leave_out"]} if plan.paged else {}),
            },
        )


def _is_advanced(field: BoundField) -> bool:
    return bool(getattr(field.field, "is_advanced", False))
