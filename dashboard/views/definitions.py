"""The list of definitions, the page of a version, and the editor."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.accounts.permissions import may_operate, require_operator
from dashboard.definitions import saving
from dashboard.definitions.examples import EXAMPLES
from dashboard.definitions.saving import CheckedText, check
from dashboard.errors import FieldErrors
from dashboard.forms.definitions import DefinitionForm
from dashboard.forms.too_large import add_too_large_errors
from dashboard.models import DefinitionVersion, SavedDefinition
from dashboard.pages.definition_diff import diff_of
from dashboard.pages.definitions import DefinitionListPage, EditorPage, Preview, VersionPage
from dashboard.server.paging import page_of
from dashboard.server.requests import page_number, whole_number
from orchestration.definitions.source_tree import DefinitionErrors

DEFINITIONS_PER_PAGE = 50
RECENT_BATCHES = 20
VERSIONS_SHOWN = 100


@require_safe
def definition_list(request: HttpRequest) -> HttpResponse:
    """Show definitions by name, narrowed by text."""
    text = request.GET.get("q", "").strip().replace("\x00", "")
    newest = DefinitionVersion.objects.filter(number=F("definition__newest"), definition__name__icontains=text)
    ordered = newest.select_related("definition", "author").order_by("definition__name")
    page = page_of(ordered, page_number(request), DEFINITIONS_PER_PAGE)
    context = {"page": DefinitionListPage(page, text, may_operate(request.user))}
    return render(request, "definitions/definition_list.html", context)


@require_safe
def definition_detail(request: HttpRequest, definition_id: int, number: int | None = None) -> HttpResponse:
    """Show a version, by default the newest."""
    saved = get_object_or_404(SavedDefinition, pk=definition_id)
    versions = saved.versions.select_related("author", "definition")
    version = get_object_or_404(versions, number=saved.newest if number is None else number)
    page = VersionPage(
        version,
        Preview(check(version.text)),
        versions=versions[:VERSIONS_SHOWN],
        diff=diff_of(version, request.user),
        batches=version.batches.select_related("launched_by")[:RECENT_BATCHES],
        may_operate=may_operate(request.user),
    )
    return render(request, "definitions/definition_detail.html", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
def definition_create(request: HttpRequest) -> HttpResponse:
    """Show the editor, empty or with an example, or save a new definition."""
    example = EXAMPLES.get(request.GET.get("example", ""))
    if request.method != "POST":
        initial = {"text": example.text, "name": ""} if example else {}
        return render(
            request, "definitions/definition_form.html", {"page": _editor(request, DefinitionForm(initial=initial))}
        )
    operator = require_operator(request.user)
    form = DefinitionForm(request.POST, request.FILES)
    add_too_large_errors(request, form)
    if form.is_valid() and "check" not in request.POST:
        try:
            version = saving.create(operator, form.cleaned_data["name"], form.submitted_text, form.cleaned_data["note"])
        except (DefinitionErrors, FieldErrors) as error:
            _add_errors(form, error)
        else:
            return _redirect_saved(request, version)
    return render(
        request, "definitions/definition_form.html", {"page": _editor(request, form)}, status=_status(request)
    )


@require_http_methods(["GET", "HEAD", "POST"])
def definition_edit(request: HttpRequest, definition_id: int) -> HttpResponse:
    """Show the editor with a version, by default the newest, or save a new version."""
    saved = get_object_or_404(SavedDefinition, pk=definition_id)
    if request.method != "POST":
        number = whole_number(request.GET.get("version", ""), saved.newest)
        text = saving.shown_text(get_object_or_404(saved.versions, number=number).text, request.user)
        form = DefinitionForm(initial={"name": saved.name, "text": text, "base": saved.newest})
        return render(request, "definitions/definition_form.html", {"page": _editor(request, form, saved)})
    operator = require_operator(request.user)
    form = DefinitionForm({**request.POST.dict(), "name": saved.name}, request.FILES)
    add_too_large_errors(request, form)
    if form.is_valid() and "check" not in request.POST:
        try:
            note, base = form.cleaned_data["note"], form.cleaned_data["base"]
            version = saving.add_version(operator, saved, form.submitted_text, note, base=base)
        except (DefinitionErrors, FieldErrors) as error:
            _add_errors(form, error)
            form.data = {**form.data, "base": saved.newest}
        else:
            return _redirect_saved(request, version)
    return render(
        request, "definitions/definition_form.html", {"page": _editor(request, form, saved)}, status=_status(request)
    )


@require_POST
def definition_preview(request: HttpRequest) -> HttpResponse:
    """Show the outline of a text, or its errors."""
    text = request.POST.get("text", "")
    checked = check(text, is_new=True) if text.strip() else CheckedText(text)
    return render(request, "definitions/definition_form.html#preview", {"preview": Preview(checked)})


def _editor(request: HttpRequest, form: DefinitionForm, saved: SavedDefinition | None = None) -> EditorPage:
    text = form.submitted_text
    return EditorPage(
        form,
        Preview(check(text, is_new=form.is_bound) if text.strip() or form.is_bound else CheckedText(text)),
        may_operate=may_operate(request.user),
        saved=saved,
        examples=() if saved else list(EXAMPLES.values()),
        example=request.GET.get("example", ""),
    )


def _status(request: HttpRequest) -> int:
    return 200 if "check" in request.POST else 422


def _add_errors(form: DefinitionForm, error: DefinitionErrors | FieldErrors) -> None:
    """Add errors to their fields; those of the text are in the preview, line by line."""
    if isinstance(error, FieldErrors):
        for field, problems in error.errors.items():
            form.add_error(field, problems)


def _redirect_saved(request: HttpRequest, version: DefinitionVersion) -> HttpResponse:
    messages.success(
        request,
        _("Saved %(name)s as version %(number)s. Nothing has been launched.")
        % {"name": version.definition.name, "number": version.number},
    )
    arguments: Sequence[int] = (version.definition_id, version.number)
    return HttpResponseRedirect(reverse("definition-version", args=arguments))
