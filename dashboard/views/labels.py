"""Tags and note of a batch."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dashboard.actions import labels
from dashboard.models import Batch
from dashboard.server.requests import HtmxHttpRequest
from dashboard.views.answers import answer


@require_POST
def batch_labels(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Save the tags and the note of a batch."""

    def operate(batch: Batch) -> str:
        labels.set_tags(request.user, batch, labels.read_tags(request.POST.get("tags", "")))
        labels.set_note(request.user, batch, request.POST.get("note", ""))
        return _("Tags and note saved.")

    return answer(request, batch_id, operate)
