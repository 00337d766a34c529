"""The launch page with initial values: the processor's example, an earlier batch, or a preset."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from dashboard.accounts.permissions import may_operate
from dashboard.forms.items import ItemsForm, dialect_initial
from dashboard.forms.plan_form import plan_form
from dashboard.forms.pydantic_forms import form_of
from dashboard.i18n.formatting import translated
from dashboard.inputs.dialect import Dialect
from dashboard.inputs.source import Format
from dashboard.models import Batch, DefinitionVersion, Schedule, Upload
from dashboard.pages.launch import PASTED, LaunchPage, NoParameters
from orchestration.plan.presets import Preset
from orchestration.processors.catalogue import shown_parameters
from orchestration.processors.processor import Processor

TEXT_SHOWN = 200 * 1024
"""Bytes of pasted text that are shown as text when a batch is launched again; a larger text is a file then."""


def initial_page(
    request: HttpRequest,
    processor: Processor,
    like: Batch | None = None,
    preset: Preset | None = None,
    version: DefinitionVersion | None = None,
    schedule: Schedule | None = None,
) -> LaunchPage:
    """Return the unbound page, filled from a schedule, an earlier batch or a preset, else from the processor's example.

    With a version of a definition, the processor is the first one of the definition.
    """
    initial, upload, parameters, plan = _values(processor, like, preset, schedule)
    page = LaunchPage(
        processor,
        items=ItemsForm(initial=initial),
        parameters=form_of(NoParameters if version else processor.parameters_model)(
            prefix="parameters", initial=parameters
        ),
        plan=plan_form(initial={} if version else plan),
        key=secrets.token_urlsafe(12),
        may_operate=may_operate(request.user),
        upload=upload,
        like=like,
        preset=preset,
        version=version,
        schedule=schedule,
    )
    page.items.set_key_choices([initial["key"]] if initial.get("key") else [])
    return page


def _values(
    processor: Processor, like: Batch | None, preset: Preset | None, schedule: Schedule | None
) -> tuple[dict[str, Any], Upload | None, dict[str, Any] | None, dict[str, Any]]:
    """Return the values of the items, their upload, and the values of parameters and plan."""
    initial: dict[str, Any] = {"format": processor.example_format}
    initial["count" if processor.example_format == Format.COUNT else "text"] = processor.example
    upload: Upload | None = None
    parameters: dict[str, Any] | None = None
    plan = dict(processor.default_plan)
    if schedule is not None:
        stored = schedule.request
        initial, upload = _initial_items(stored["source"], schedule.item_count, stored["label"])
        parameters, plan = shown_parameters(schedule.processor, stored["parameters"]), stored["plan"]
    elif like is not None:
        initial, upload = _initial_items(like.source, like.item_count, like.label)
        parameters, plan = shown_parameters(like.processor, like.parameters), like.plan_data
    elif preset is not None:
        initial = {"format": Format.CSV, "text": preset.items} if preset.items else {"format": Format.COUNT}
        initial |= {"count": preset.count, "label": str(translated(preset.title))}
        parameters, plan = dict(preset.parameters), dict(preset.plan)
    return initial, upload, parameters, plan


def _initial_items(source: Mapping[str, Any], items: int, label: str) -> tuple[dict[str, Any], Upload | None]:
    count = source.get("count") or items
    initial = {"format": source["kind"], "key": source.get("key", ""), "label": label, "count": count}
    initial |= dialect_initial(Dialect.of(source.get("dialect")))
    initial["leave_out"] = bool(source.get("left_out") or source.get("leave_out"))
    upload = Upload.objects.filter(pk=source.get("upload")).first()
    if upload is not None and upload.name == PASTED and upload.size <= TEXT_SHOWN:
        initial["text"] = upload.file.read().decode()
        upload = None
    elif upload is not None:
        initial["upload"] = upload.pk
    return initial, upload
