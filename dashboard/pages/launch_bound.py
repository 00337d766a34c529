"""The launch page bound to a submitted form: stores its upload, surveys its items, validates its plan."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from dashboard.accounts.permissions import may_operate
from dashboard.forms.items import ItemsForm
from dashboard.forms.plan_form import plan_form
from dashboard.forms.pydantic_forms import form_of
from dashboard.forms.too_large import add_too_large_errors
from dashboard.inputs import survey as input_survey
from dashboard.inputs.source import Format, Source
from dashboard.inputs.survey import SURVEYED_ROWS
from dashboard.inputs.uploads import opener, store_chosen_files, store_upload
from dashboard.launching.definition_request import item_problems
from dashboard.launching.validation import plan_problems
from dashboard.models import DefinitionVersion, Schedule, Upload
from dashboard.pages.launch import PASTED, LaunchPage, NoParameters
from orchestration.processors.processor import Processor

SURVEY_CACHE_SECONDS = 600
"""Seconds that a survey is cached: a preview after a change of the plan does not read the items again."""


def bound_page(
    request: HttpRequest,
    processor: Processor,
    version: DefinitionVersion | None = None,
    schedule: Schedule | None = None,
) -> LaunchPage:
    """Return the page bound to the submitted form, with its upload stored and its items surveyed."""
    given, kept = request.POST, None if schedule is None else schedule.request["parameters"]
    page = LaunchPage(
        processor,
        items=ItemsForm(given, request.FILES),
        parameters=form_of(NoParameters if version else processor.parameters_model)(
            store_chosen_files(request), prefix="parameters", kept=kept
        ),
        plan=plan_form(given),
        key=given.get("idempotency_key", "")[:64] or secrets.token_urlsafe(12),
        may_operate=may_operate(request.user),
        version=version,
        schedule=schedule,
    )
    add_too_large_errors(request, page.items, page.parameters, page.plan)
    if page.items.is_valid():
        _survey_items(page, request)
    else:
        page.upload = Upload.objects.filter(pk=given.get("upload", "")).first()
    page.items.set_key_choices(list(page.survey.columns) if page.survey else [])
    plan = page.checked_plan
    if page.definition is not None and page.count:
        for place, reason in item_problems(page.definition, page.count).items():
            page.items.add_error(None, f"{place}: {reason}")
    elif plan is not None and page.count:
        page.add_plan_errors(plan_problems(processor.name, plan, page.count))
    return page


def _survey_items(page: LaunchPage, request: HttpRequest) -> None:
    cleaned = page.items.cleaned_data
    kind = Format(cleaned["format"])
    if kind is not Format.COUNT:
        page.upload = _item_upload(cleaned, request)
        if page.upload is None:
            page.items.add_error("file", _("The uploaded file no longer exists. Choose it again."))
            return
        page.items.data = _with_upload(page.items.data, page.upload)
    name = page.upload.pk if page.upload else str(cleaned["count"])
    dialect = page.items.dialect
    if page.upload is not None and page.upload.name == PASTED:
        dialect = replace(dialect, encoding="")  # whatever the browser sent is stored as UTF-8
    count = cleaned["count"] or 0
    page.source = Source(kind, opener(page.upload), key=cleaned["key"], count=count, dialect=dialect)
    plan = page.checked_plan
    sample = SURVEYED_ROWS if plan is not None and plan.paged else None
    chosen = f"{kind}:{cleaned['key']}:{page.processor.name}:{sample}:{page.source.dialect}"
    content = f"{page.upload.sha256 if page.upload else name}:{chosen}"
    cache_key = f"survey:{hashlib.sha256(content.encode()).hexdigest()}"
    page.survey = cache.get(cache_key)
    if page.survey is None:
        page.survey = input_survey.survey(page.source, page.processor, limit=settings.CANOPY_MAX_ITEMS, sample=sample)
        cache.set(cache_key, page.survey, SURVEY_CACHE_SECONDS)
    if page.survey.error:
        place = "count" if kind is Format.COUNT else "text" if page.upload and page.upload.name == PASTED else "file"
        page.items.add_error(place, page.survey.error)


def _with_upload(data: Any, upload: Upload) -> QueryDict:
    """Return the form's data with the upload's id, so that a page shown again still has the upload."""
    changed: QueryDict = data.copy()
    changed["upload"] = ""
    if upload.name != PASTED or not changed.get("text"):
        changed["upload"] = upload.pk
        changed.pop("use_text", None)
    return changed


def _item_upload(cleaned: dict[str, Any], request: HttpRequest) -> Upload | None:
    """Return the upload of a chosen file, an earlier upload, or the upload of pasted text, in this order.

    The text is an example at first, so an earlier upload comes first unless `use_text` is set.
    """
    file: UploadedFile[bytes] | None = cleaned["file"]
    if file is not None:
        return store_upload(_user(request), file.name or "upload", file)
    if cleaned["upload"] and not (cleaned["use_text"] and cleaned["text"].strip()):
        return Upload.objects.filter(pk=cleaned["upload"]).first()
    return store_upload(_user(request), PASTED, ContentFile(cleaned["text"].encode()))


def _user(request: HttpRequest) -> User:
    person = request.user
    assert person.is_authenticated
    return person
