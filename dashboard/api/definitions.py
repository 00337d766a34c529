"""Definitions: list, save, check, versions. Same permissions and validation as the pages."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db.models import F
from django.http import HttpRequest
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field

from dashboard.accounts.permissions import require_operator
from dashboard.api.responses import AWAY, Problem
from dashboard.definitions import saving
from dashboard.models import DefinitionVersion, SavedDefinition
from dashboard.server.public_url import url_for
from orchestration.definitions.outline import outline
from orchestration.definitions.parser import parse
from orchestration.processors.catalogue import processors

router = Router(tags=["Definitions"])


class TextIn(Schema):
    """The text of a definition, YAML or JSON."""

    model_config = ConfigDict(extra="forbid")

    text: str


class VersionIn(TextIn):
    """Another version. `base`: the number of the version it was edited from; refused if there is a newer one."""

    note: str = ""
    base: int | None = None


class DefinitionIn(TextIn):
    """A new definition."""

    name: str
    note: str = ""


class VersionOut(Schema):
    """One version; `id` is what a launch names."""

    id: int
    number: int
    kind: str
    author: str
    created_at: datetime
    note: str
    url: str


class DefinitionOut(Schema):
    """A definition and its newest version."""

    id: int
    name: str
    created_by: str
    created_at: datetime
    newest: VersionOut


class VersionWithText(VersionOut):
    """One version with its text."""

    text: str


class DefinitionWithVersions(DefinitionOut):
    """A definition with all its versions, newest first."""

    versions: list[VersionWithText]


class CheckedOut(Schema):
    """The kind of a valid definition, and its outline: {"name", "kind", "summary", "children"}."""

    kind: str
    outline: dict[str, Any]


class LineError(Schema):
    """An error in a text; lines and columns count from 1."""

    line: int
    column: int
    path: str
    message: str


class TextProblem(Schema):
    """Why a text was refused, line by line; another field as {"field": ["reason"]}."""

    detail: str
    errors: list[LineError] | dict[str, list[str]] = Field(default_factory=list)


PROBLEMS = {401: Problem, 403: Problem, 404: Problem, 422: TextProblem, **AWAY}


@router.get("/definitions", response={200: list[DefinitionOut], 401: Problem})
def list_definitions(request: HttpRequest) -> list[dict[str, Any]]:
    """List definitions by name, each with its newest version."""
    newest = DefinitionVersion.objects.filter(number=F("definition__newest")).order_by("definition__name")
    found = newest.select_related("definition__created_by", "author")
    return [_definition(request, version) for version in found]


@router.post("/definitions", response={201: DefinitionOut, **PROBLEMS})
def create_definition(request: HttpRequest, given: DefinitionIn) -> Status[dict[str, Any]]:
    """Save a new definition as version 1."""
    version = saving.create(require_operator(request.user), given.name, given.text, given.note)
    return Status(201, _definition(request, version))


@router.post("/definitions/check", response={200: CheckedOut, **PROBLEMS})
def check_definition(request: HttpRequest, given: TextIn) -> dict[str, Any]:
    """Validate a text and return its outline; nothing is saved."""
    definition = parse(given.text, processors(), is_new=True)
    return {"kind": definition.kind, "outline": asdict(outline(definition))}


@router.get("/definitions/{definition_id}", response={200: DefinitionWithVersions, **PROBLEMS})
def get_definition(request: HttpRequest, definition_id: int) -> dict[str, Any]:
    """Return a definition with all its versions."""
    versions = list(
        _find_definition(definition_id).versions.defer(None).select_related("definition__created_by", "author")
    )
    whole = [
        _version(request, version) | {"text": saving.shown_text(version.text, request.user)} for version in versions
    ]
    return _definition(request, versions[0]) | {"versions": whole}


@router.post("/definitions/{definition_id}/versions", response={201: VersionOut, **PROBLEMS})
def create_version(request: HttpRequest, definition_id: int, given: VersionIn) -> Status[dict[str, Any]]:
    """Save another version."""
    operator = require_operator(request.user)
    version = saving.add_version(operator, _find_definition(definition_id), given.text, given.note, base=given.base)
    return Status(201, _version(request, version))


def _find_definition(definition_id: int) -> SavedDefinition:
    saved = SavedDefinition.objects.filter(pk=definition_id).first() if 0 < definition_id < 2**63 else None
    if saved is None:
        raise HttpError(404, f"There is no definition {definition_id}.")
    return saved


def _definition(request: HttpRequest, newest: DefinitionVersion) -> dict[str, Any]:
    saved = newest.definition
    return {
        "id": saved.pk,
        "name": saved.name,
        "created_by": saved.created_by.get_username(),
        "created_at": saved.created_at,
        "newest": _version(request, newest),
    }


def _version(request: HttpRequest, version: DefinitionVersion) -> dict[str, Any]:
    return {
        "id": version.pk,
        "number": version.number,
        "kind": version.kind,
        "author": version.author.get_username(),
        "created_at": version.created_at,
        "note": version.note,
        "url": url_for(request, "definition-version", version.definition_id, version.number),
    }
