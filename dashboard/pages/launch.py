"""LaunchPage: the forms of a launch as given so far, what a survey of the items found, and the request they make."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from pydantic import BaseModel

from dashboard.accounts.permissions import may_operate
from dashboard.definitions.stages import definition_of
from dashboard.forms.items import ItemsForm
from dashboard.forms.model_forms import ModelForm, form_of
from dashboard.i18n.formatting import numeral, translated
from dashboard.inputs import survey as input_survey
from dashboard.inputs.source import Format, Source
from dashboard.inputs.survey import SURVEYED_ROWS, Survey
from dashboard.inputs.uploads import opener, store_chosen_files, store_upload
from dashboard.launching.definition_request import LaunchItems, definition_request, item_problems, plan_of
from dashboard.launching.request import LaunchRequest
from dashboard.launching.validation import plan_problems
from dashboard.models import Batch, DefinitionVersion, Upload
from dashboard.pages.outline import OutlineRow, outline_rows
from dashboard.queries.task_queues import unpolled_warning
from orchestration.definitions.models import Definition, Pipeline
from orchestration.definitions.outline import outline
from orchestration.plan.layout import Layout
from orchestration.plan.plan import Plan
from orchestration.plan.presets import Preset
from orchestration.plan.validation import warnings
from orchestration.processors.processor import Processor

SURVEY_KEPT = 600
"""Seconds that a survey is remembered: a preview while the plan is being typed does not read the items again."""

TEXT_SHOWN = 200 * 1024
"""Bytes of pasted text that "launch again" puts back into the form; more stays a file."""


class NoParameters(BaseModel):
    """What a definition has instead of parameters: they are in its text."""


@dataclass
class LaunchPage:
    """Context of the launch page and of its preview."""

    processor: Processor
    items: ItemsForm
    parameters: ModelForm
    plan: ModelForm
    key: str
    may_operate: bool
    upload: Upload | None = None
    survey: Survey | None = None
    source: Source | None = None
    like: Batch | None = None
    preset: Preset | None = None
    version: DefinitionVersion | None = None

    @property
    def kept_file(self) -> Upload | None:
        """What was uploaded, or was pasted and is too much to show as text again."""
        is_shown = self.upload is not None and self.upload.name == PASTED and self.items["text"].value()
        return None if is_shown else self.upload

    @property
    def title(self) -> str:
        """What is launched."""
        return self.version.definition.name if self.version is not None else str(translated(self.processor.title))

    @property
    def definition(self) -> Definition | None:
        """The definition that the items go through, if they go through one."""
        return definition_of(self.version.pk) if self.version is not None else None

    @property
    def outline(self) -> list[OutlineRow]:
        """What the definition does, as rows."""
        return outline_rows(outline(self.definition)) if self.definition is not None else []

    @property
    def preview_url(self) -> str:
        """Where the form is sent while it is being filled in."""
        if self.version is not None:
            return reverse("definition-items-preview", args=[self.version.pk])
        return reverse("launch-preview", args=[self.processor.name])

    @property
    def is_valid(self) -> bool:
        """Whether it can be launched as it is: bad rows only where they are to be left out."""
        forms_valid = [form.is_valid() for form in (self.items, self.parameters, self.plan)]
        return all(forms_valid) and self.survey is not None and not self.survey.error and not self.needs_choice

    @property
    def needs_choice(self) -> bool:
        """Whether there are bad rows that nobody has said to leave out, or nothing else."""
        if self.survey is None or not self.survey.bad_lines:
            return False
        return not self.survey.good or not self.items.cleaned_data.get("leave_out")

    @property
    def checked_plan(self) -> Plan | None:
        """The plan, once its form is valid."""
        return self.plan.model if self.plan.is_bound and self.plan.is_valid() else None  # type: ignore[return-value]

    @property
    def count(self) -> int:
        """How many items would be launched."""
        return self.survey.good if self.survey else 0

    @property
    def layout(self) -> Layout | None:
        """The tree that plan and items make, where it is known before it runs: of a pipeline its first stage."""
        plan = self.checked_plan
        if isinstance(self.definition, Pipeline):
            plan = self.definition.stages[0].plan
        elif self.definition is not None and plan is not None:
            plan = plan_of(self.definition, plan)
        return Layout.of(plan, self.count) if plan is not None and self.count and not plan.paged else None

    @property
    def is_paged(self) -> bool:
        """Whether the items are read while it runs: only the first of them have been looked at."""
        return self.checked_plan is not None and self.checked_plan.paged

    @property
    def warnings(self) -> Sequence[str]:
        """What is unwise."""
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
        if plan is not None and (unserved := unpolled_warning(plan.task_queue)):
            found.append(unserved)
        return found

    def refuse(self, errors: Mapping[str, str | list[str]]) -> None:
        """Say at the plan's fields why it cannot work."""
        for name, reasons in errors.items():
            self.plan.add_error(name, reasons)

    def request(self) -> LaunchRequest:
        """Return what is to be launched; only for a valid page."""
        request = self._of_version(self.version) if self.version is not None else self._of_processor()
        return replace(request, idempotency_key=f"{self.key}:{request.fingerprint[:16]}")

    def _of_version(self, version: DefinitionVersion) -> LaunchRequest:
        made = self._of_processor()
        items = LaunchItems(made.count, made.rows, made.digest, made.source)
        return definition_request(version, made.plan, made.label, None, "form", items)

    def _of_processor(self) -> LaunchRequest:
        assert self.survey is not None
        assert self.source is not None
        assert isinstance(self.plan.model, Plan)
        survey, source, plan, processor = self.survey, self.source, self.plan.model, self.processor
        return LaunchRequest(
            processor=self.processor.name,
            parameters=self.parameters.model.model_dump(mode="json"),
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
                **({"count": source.count, "leave_out": self.items.cleaned_data["leave_out"]} if plan.paged else {}),
            },
        )


def empty_page(
    request: HttpRequest,
    processor: Processor,
    like: Batch | None = None,
    preset: Preset | None = None,
    version: DefinitionVersion | None = None,
) -> LaunchPage:
    """Return the page as it is first seen, filled as an earlier batch was launched or as a preset says.

    With a version of a definition the processor is the one that first meets the items.
    """
    first: dict[str, Any] = {"format": processor.example_format}
    first["count" if processor.example_format == Format.COUNT else "text"] = processor.example
    upload, parameters, plan = None, None, dict(processor.default_plan)
    if like is not None:
        first, upload = _items_of(like)
        parameters, plan = like.parameters, like.plan_data
    elif preset is not None:
        first = {"format": Format.CSV, "text": preset.items} if preset.items else {"format": Format.COUNT}
        first |= {"count": preset.count, "label": str(translated(preset.title))}
        parameters, plan = dict(preset.parameters), dict(preset.plan)
    page = LaunchPage(
        processor,
        items=ItemsForm(initial=first),
        parameters=form_of(NoParameters if version else processor.parameters_model)(
            prefix="parameters", initial=parameters
        ),
        plan=form_of(Plan)(prefix="plan", initial={} if version else plan),
        key=secrets.token_urlsafe(12),
        may_operate=may_operate(request.user),
        upload=upload,
        like=like,
        preset=preset,
        version=version,
    )
    page.items.offer_keys([first["key"]] if first.get("key") else [])
    return page


def _items_of(like: Batch) -> tuple[dict[str, Any], Upload | None]:
    source = like.source
    count = source.get("count") or like.item_count
    first = {"format": source["kind"], "key": source.get("key", ""), "label": like.label, "count": count}
    first["leave_out"] = bool(source.get("left_out") or source.get("leave_out"))
    upload = Upload.objects.filter(pk=source.get("upload")).first()
    if upload is not None and upload.name == PASTED and upload.size <= TEXT_SHOWN:
        first["text"] = upload.file.read().decode()
        upload = None
    elif upload is not None:
        first["upload"] = upload.pk
    return first, upload


PASTED = "pasted items"


def filled_page(request: HttpRequest, processor: Processor, version: DefinitionVersion | None = None) -> LaunchPage:
    """Return the page as a person has filled it, with what was uploaded kept."""
    given = request.POST
    page = LaunchPage(
        processor,
        items=ItemsForm(given, request.FILES),
        parameters=form_of(NoParameters if version else processor.parameters_model)(
            store_chosen_files(request), prefix="parameters"
        ),
        plan=form_of(Plan)(given, prefix="plan"),
        key=given.get("idempotency_key", "")[:64] or secrets.token_urlsafe(12),
        may_operate=may_operate(request.user),
        version=version,
    )
    if page.items.is_valid():
        _survey(page, request)
    else:
        page.upload = Upload.objects.filter(pk=given.get("upload", "")).first()
    page.items.offer_keys(list(page.survey.columns) if page.survey else [])
    plan = page.checked_plan
    if page.definition is not None and page.count:
        for place, reason in item_problems(page.definition, page.count).items():
            page.items.add_error(None, f"{place}: {reason}")
    elif plan is not None and page.count:
        page.refuse(plan_problems(processor.name, plan, page.count))
    return page


def _survey(page: LaunchPage, request: HttpRequest) -> None:
    cleaned = page.items.cleaned_data
    kind = Format(cleaned["format"])
    if kind is not Format.COUNT:
        page.upload = _kept(cleaned, request)
        if page.upload is None:
            page.items.add_error("file", _("The uploaded file no longer exists. Choose it again."))
            return
        page.items.data = _with_upload(page.items.data, page.upload)
    name = page.upload.pk if page.upload else str(cleaned["count"])
    page.source = Source(kind, opener(page.upload), key=cleaned["key"], count=cleaned["count"] or 0)
    plan = page.checked_plan
    sample = SURVEYED_ROWS if plan is not None and plan.paged else None
    content = f"{page.upload.sha256 if page.upload else name}:{kind}:{cleaned['key']}:{page.processor.name}:{sample}"
    cached = f"survey:{hashlib.sha256(content.encode()).hexdigest()}"
    page.survey = cache.get(cached)
    if page.survey is None:
        page.survey = input_survey.survey(page.source, page.processor, limit=settings.CANOPY_MAX_ITEMS, sample=sample)
        cache.set(cached, page.survey, SURVEY_KEPT)
    if page.survey.error:
        place = "count" if kind is Format.COUNT else "text" if page.upload and page.upload.name == PASTED else "file"
        page.items.add_error(place, page.survey.error)


def _with_upload(data: Any, upload: Upload) -> QueryDict:
    """Return the form's data naming the upload, so that a page shown again still has what was uploaded."""
    changed: QueryDict = data.copy()
    changed["upload"] = ""
    if upload.name != PASTED or not changed.get("text"):
        changed["upload"] = upload.pk
        changed.pop("use_text", None)
    return changed


def _kept(cleaned: dict[str, Any], request: HttpRequest) -> Upload | None:
    """Return a file, an earlier upload, or pasted text as what is kept, in this order of precedence.

    The text is an example at first, so what was uploaded wins, unless the person asks for the text.
    """
    file: UploadedFile[bytes] | None = cleaned["file"]
    if file is not None:
        return store_upload(_person(request), file.name or "upload", file)
    if cleaned["upload"] and not (cleaned["use_text"] and cleaned["text"].strip()):
        return Upload.objects.filter(pk=cleaned["upload"]).first()
    return store_upload(_person(request), PASTED, ContentFile(cleaned["text"].encode()))


def _person(request: HttpRequest) -> User:
    person = request.user
    assert person.is_authenticated
    return person
