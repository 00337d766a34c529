"""Downloads of the reports of a batch."""

from __future__ import annotations

import json

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from dashboard.models import Batch, Report
from dashboard.queries.report_markdown import markdown


@require_safe
def report_download(request: HttpRequest, batch_id: str, number: str, form: str) -> HttpResponse:
    """Return a report, numbered from 1, as JSON or Markdown."""
    report = _report(batch_id, int(number))
    if form == "json":
        answer = HttpResponse(json.dumps(report.content, indent=2), content_type="application/json")
    else:
        answer = HttpResponse(markdown(report), content_type="text/markdown; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{batch_id}-report-{number}.{form}"'
    return answer


def _report(batch_id: str, number: int) -> Report:
    batch = get_object_or_404(Batch, id=batch_id)
    found = list(batch.reports.all()[number - 1 : number]) if number else []
    if not found:
        raise Http404(f"Batch {batch_id} has no report {number}.")
    return found[0]
