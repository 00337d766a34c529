"""What a launch refers to: processors, presets, uploads."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import File, Router, Schema, Status, UploadedFile

from dashboard.accounts.permissions import require_operator
from dashboard.api.responses import PROBLEMS
from dashboard.errors import FieldErrors
from dashboard.inputs.uploads import size_problem, store_upload
from orchestration.plan.presets import PRESETS, Preset
from orchestration.processors.catalogue import processors
from orchestration.processors.parameters import schema_of

router = Router(tags=["Batches"])


class ProcessorOut(Schema):
    """A processor with the JSON schemas of its parameters and items."""

    name: str
    title: str
    summary: str
    parameters: dict[str, Any]
    item: dict[str, Any]


class PresetOut(Schema):
    """A fan-out pattern to start from: when to use it, and a launch that shows it."""

    name: str
    title: str
    when: str
    patterns: list[str]
    processor: str
    parameters: dict[str, Any]
    plan: dict[str, Any]


class UploadOut(Schema):
    """A stored file. `size` is in bytes."""

    id: str
    name: str
    size: int


@router.get("/processors", response=list[ProcessorOut])
def list_processors(request: HttpRequest) -> list[dict[str, Any]]:
    """List the processors that can be launched."""
    return [
        {
            "name": processor.name,
            "title": processor.title,
            "summary": processor.summary,
            "parameters": schema_of(processor.parameters_model),
            "item": schema_of(processor.item_model),
        }
        for processor in processors().values()
    ]


@router.post("/uploads", response={201: UploadOut, **PROBLEMS})
def create_upload(request: HttpRequest, file: File[UploadedFile]) -> Status[dict[str, Any]]:
    """Store a file; a parameter that is a file refers to it as {"upload": id}."""
    operator = require_operator(request.user)
    if problem := size_problem(file):
        raise FieldErrors({"file": [problem]})
    upload = store_upload(operator, file.name or "file", file)
    return Status(201, {"id": upload.pk, "name": upload.name, "size": upload.size})


@router.get("/presets", response=list[PresetOut])
def list_presets(request: HttpRequest) -> list[Preset]:
    """List the presets that a launch may start from."""
    return list(PRESETS)
