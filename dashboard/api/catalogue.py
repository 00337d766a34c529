"""What a launch can name over the API: processors, presets, uploads."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import File, Router, UploadedFile

from dashboard.accounts.permissions import require_operator
from dashboard.api import schemas
from dashboard.api.responses import PROBLEMS
from dashboard.errors import FieldErrors
from dashboard.inputs.uploads import keep, problem_of
from orchestration.plan.presets import PRESETS, Preset
from orchestration.processors.catalogue import processors

router = Router(tags=["Batches"])


@router.get("/processors", response=list[schemas.ProcessorOut])
def list_processors(request: HttpRequest) -> list[dict[str, Any]]:
    """List what can be launched."""
    return [
        {
            "name": processor.name,
            "title": processor.title,
            "summary": processor.summary,
            "parameters": processor.parameters_model.model_json_schema(),
            "item": processor.item_model.model_json_schema(),
        }
        for processor in processors().values()
    ]


@router.post("/uploads", response={201: schemas.UploadOut, **PROBLEMS})
def create_upload(request: HttpRequest, file: File[UploadedFile]) -> tuple[int, dict[str, Any]]:
    """Keep a file, to be named by its id where a parameter is one: {"upload": id}."""
    operator = require_operator(request.user)
    if problem := problem_of(file):
        raise FieldErrors({"file": [problem]})
    upload = keep(operator, file.name or "file", file)
    return 201, {"id": upload.pk, "name": upload.name, "size": upload.size}


@router.get("/presets", response=list[schemas.PresetOut])
def list_presets(request: HttpRequest) -> list[Preset]:
    """List the patterns that a launch may start from."""
    return list(PRESETS)
