"""Context of the partial that shows the outcome of an operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dashboard.actions.child_requests import OperationResult, Refusal
from dashboard.i18n.formatting import numeral
from dashboard.models import Action


@dataclass(frozen=True)
class Answer:
    """Context of the partial `answer`: the outcome of an operation, and the children that were refused."""

    text: str
    is_error: bool = False
    refused: Sequence[Refusal] = ()


DONE: dict[Action, Callable[[int], str]] = {
    Action.RETRY: lambda number: ngettext("Retrying %(number)s child.", "Retrying %(number)s children.", number),
    Action.SKIP: lambda number: ngettext("Skipped %(number)s child.", "Skipped %(number)s children.", number),
    Action.CANCEL: lambda number: ngettext(
        "Cancel requested for %(number)s child.", "Cancel requested for %(number)s children.", number
    ),
    Action.TERMINATE: lambda number: ngettext(
        "Terminated %(number)s child.", "Terminated %(number)s children.", number
    ),
}
"""The sentence about the children that were accepted, by their number."""

NOTHING_DONE = {
    Action.RETRY: gettext_lazy("Nothing was retried."),
    Action.SKIP: gettext_lazy("Nothing was skipped."),
    Action.CANCEL: gettext_lazy("Nothing was canceled."),
    Action.TERMINATE: gettext_lazy("Nothing was terminated."),
}
"""The sentence if there are none."""


def answer_of(outcome: OperationResult) -> Answer:
    """Return the outcome in words: how many children were accepted, and why others were refused."""
    accepted, number = len(outcome.accepted), len(outcome.refused)
    text = DONE[outcome.action](accepted) % {"number": numeral(accepted)}
    if outcome.resumes_flow:
        text = (
            _("The batch continues where it stopped. %(text)s") % {"text": text}
            if accepted
            else _("The batch continues where it stopped.")
        )
    elif not accepted:
        text = str(NOTHING_DONE[outcome.action])
    if number:
        reasons = sorted({refusal.reason for refusal in outcome.refused})
        text += _(" %(number)s refused: %(reasons)s.") % {"number": numeral(number), "reasons": ", ".join(reasons)}
    return Answer(text, is_error=not accepted and not outcome.resumes_flow, refused=outcome.refused)
