"""The list of definitions, the page of a version, and the editor."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.core.paginator import Page
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.accounts.permissions import may_operate, require_operator
from dashboard.definitions import saving
from dashboard.definitions.examples import EXAMPLES
from dashboard.definitions.saving import CheckedText, check
from dashboard.errors import FieldErrors
from dashboard.forms.model_forms import form_of
from dashboard.launching.definition_request import first_processor
from dashboard.launching.launch import launch
from dashboard.models import Batch, DefinitionVersion, SavedDefinition
from dashboard.pages.definition_diff import diff_of
from dashboard.pages.definition_launch import LaunchDefinitionPage
from dashboard.pages.definitions import DefinitionForm, EditorPage, Preview, VersionPage
from dashboard.pages.launch import empty_page, filled_page
from dashboard.server.paging import page_of
from dashboard.server.requests import page_number, whole_number
from dashboard.views.launch import answer_launch
from orchestration.definitions.source_tree import DefinitionErrors
from orchestration.plan.plan import Plan
from orchestration.processors.catalogue import get_processor
from orchestration.processors.processor import Processor

DEFINITIONS_PER_PAGE = 50
RECENT_BATCHES = 20
VERSIONS_SHOWN = 100


@dataclass(frozen=True)
class ListPage:
    """Context of the list: the newest version of each definition."""

    page: Page[DefinitionVersion]
    text: str
    may_operate: bool


@require_safe
def definition_list(request: HttpRequest) -> HttpResponse:
    """Show definitions by name, narrowed by text."""
    text = request.GET.get("q", "").strip().replace("\x00", "")
    newest = DefinitionVersion.objects.filter(number=F("definition__newest"), definition__name__icontains=text)
    ordered = newest.select_related("definition", "author").order_by("definition__name")
    page = page_of(ordered, page_number(request), DEFINITIONS_PER_PAGE)
    context = {"page": ListPage(page, text, may_operate(request.user))}
    return render(request, "definitions/definition_list.html", context)


@require_safe
def definition_detail(request: HttpRequest, definition_id: int, number: int | None = None) -> HttpResponse:
    """Show a version, the newest unless another is asked for."""
    saved = get_object_or_404(SavedDefinition, pk=definition_id)
    versions = saved.versions.select_related("author", "definition")
    version = get_object_or_404(versions, number=saved.newest if number is None else number)
    page = VersionPage(
        version,
        Preview(check(version.text)),
        versions=versions[:VERSIONS_SHOWN],
        diff=diff_of(version),
        batches=version.batches.select_related("launched_by")[:RECENT_BATCHES],
        may_operate=may_operate(request.user),
    )
    return render(request, "definitions/definition_detail.html", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
def definition_create(request: HttpRequest) -> HttpResponse:
    """Show an empty editor or an example in it, or save a new definition."""
    example = EXAMPLES.get(request.GET.get("example", ""))
    if request.method != "POST":
        first = {"text": example.text, "name": ""} if example else {}
        return render(
            request, "definitions/definition_form.html", {"page": _editor(request, DefinitionForm(initial=first))}
        )
    operator = require_operator(request.user)
    form = DefinitionForm(request.POST, request.FILES)
    if form.is_valid() and "check" not in request.POST:
        try:
            version = saving.create(operator, form.cleaned_data["name"], form.given, form.cleaned_data["note"])
        except (DefinitionErrors, FieldErrors) as error:
            _tell(form, error)
        else:
            return _saved(request, version)
    return render(
        request, "definitions/definition_form.html", {"page": _editor(request, form)}, status=_status(request)
    )


@require_http_methods(["GET", "HEAD", "POST"])
def definition_edit(request: HttpRequest, definition_id: int) -> HttpResponse:
    """Show the editor with a version, the newest unless another is asked for, or save it as another version."""
    saved = get_object_or_404(SavedDefinition, pk=definition_id)
    if request.method != "POST":
        number = whole_number(request.GET.get("version", ""), saved.newest)
        text = get_object_or_404(saved.versions, number=number).text
        form = DefinitionForm(initial={"name": saved.name, "text": text, "base": saved.newest})
        return render(request, "definitions/definition_form.html", {"page": _editor(request, form, saved)})
    operator = require_operator(request.user)
    form = DefinitionForm({**request.POST.dict(), "name": saved.name}, request.FILES)
    if form.is_valid() and "check" not in request.POST:
        try:
            note, base = form.cleaned_data["note"], form.cleaned_data["base"]
            version = saving.add_version(operator, saved, form.given, note, base=base)
        except (DefinitionErrors, FieldErrors) as error:
            _tell(form, error)
            form.data = {**form.data, "base": saved.newest}
        else:
            return _saved(request, version)
    return render(
        request, "definitions/definition_form.html", {"page": _editor(request, form, saved)}, status=_status(request)
    )


@require_POST
def definition_preview(request: HttpRequest) -> HttpResponse:
    """Show what a text would do, or what is wrong with it."""
    text = request.POST.get("text", "")
    checked = check(text) if text.strip() else CheckedText(text)
    return render(request, "definitions/definition_form.html#preview", {"preview": Preview(checked)})


def _editor(request: HttpRequest, form: DefinitionForm, saved: SavedDefinition | None = None) -> EditorPage:
    text = form.given
    return EditorPage(
        form,
        Preview(check(text) if text.strip() or form.is_bound else CheckedText(text)),
        may_operate=may_operate(request.user),
        saved=saved,
        examples=() if saved else list(EXAMPLES.values()),
        example=request.GET.get("example", ""),
    )


def _status(request: HttpRequest) -> int:
    return 200 if "check" in request.POST else 422


def _tell(form: DefinitionForm, error: DefinitionErrors | FieldErrors) -> None:
    """Put a refusal at its field; what is wrong with the text stands in the preview, line by line."""
    if isinstance(error, FieldErrors):
        for field, problems in error.errors.items():
            form.add_error(field, problems)


def _saved(request: HttpRequest, version: DefinitionVersion) -> HttpResponse:
    messages.success(
        request,
        _("Saved %(name)s as version %(number)s. Nothing has been launched.")
        % {"name": version.definition.name, "number": version.number},
    )
    arguments: Sequence[int] = (version.definition_id, version.number)
    return HttpResponseRedirect(reverse("definition-version", args=arguments))


@require_http_methods(["GET", "HEAD", "POST"])
def definition_launch(request: HttpRequest) -> HttpResponse:
    """Show what a saved definition will do, or launch it."""
    version = get_object_or_404(DefinitionVersion, pk=whole_number(request.GET.get("definition", ""), 0))
    if processor := item_processor(version):
        return _launch_over_items(request, version, processor)
    page = flow_page(request, version)
    if request.method != "POST":
        return render(request, "definitions/definition_launch.html", {"page": page})
    operator = require_operator(request.user)
    if not page.is_valid:
        return render(request, "definitions/definition_launch.html", {"page": page}, status=422)
    launched = launch(operator, page.request())
    return HttpResponseRedirect(reverse("batch-detail", args=[launched.batch.pk]))


def flow_page(request: HttpRequest, version: DefinitionVersion) -> LaunchDefinitionPage:
    """Return the page of a definition over no items, as a person has filled it if they have."""
    is_post = request.method == "POST"
    return LaunchDefinitionPage(
        version=version,
        preview=Preview(check(version.text)),
        plan=form_of(Plan)(request.POST, prefix="plan") if is_post else form_of(Plan)(prefix="plan"),
        label=request.POST.get("label", version.definition.name)[:200],
        key=request.POST.get("idempotency_key", "")[:64] or secrets.token_urlsafe(12),
        may_operate=may_operate(request.user),
    )


@require_POST
def definition_items_preview(request: HttpRequest, version_id: int) -> HttpResponse:
    """Show what a launch over items would make of the form as it is, and keep a file that was chosen."""
    require_operator(request.user)
    version = get_object_or_404(DefinitionVersion, pk=version_id)
    processor = item_processor(version)
    if processor is None:
        raise Http404(_("This definition takes no items."))
    return render(
        request, "launch/launch.html#answer", {"page": filled_page(request, processor, version), "swap": True}
    )


def _launch_over_items(request: HttpRequest, version: DefinitionVersion, processor: Processor) -> HttpResponse:
    if request.method == "POST":
        require_operator(request.user)
        return answer_launch(request, filled_page(request, processor, version))
    like = Batch.objects.filter(pk=request.GET.get("like", ""), definition=version).first()
    return render(request, "launch/launch.html", {"page": empty_page(request, processor, like, version=version)})


def item_processor(version: DefinitionVersion) -> Processor | None:
    """Return the processor that meets the items first, of a valid definition that works over items."""
    definition = check(version.text).definition
    name = first_processor(definition) if definition is not None else ""
    return get_processor(name) if name else None
