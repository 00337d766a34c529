"""The form of a new API token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from dashboard.models import TokenKind, TokenRole


class TokenForm(forms.Form):
    """Fields of a new token; `accounts.api_tokens` validates them, for the API too.

    Who may not operate makes tokens of their own alone, and is asked for no kind. A sheet hides a field that does
    not apply to the kind, unless there is something wrong with it.
    """

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=100, help_text=gettext_lazy("The audit trail shows it.")
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=TokenKind.choices,
        initial=TokenKind.PERSON,
        help_text=gettext_lazy("Person: what you may do. Worker: the items of its queues. Events: a worker's plugin."),
    )
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=TokenRole.choices, required=False)
    queues = forms.CharField(
        label=gettext_lazy("Task queues"),
        max_length=10_000,
        required=False,
        help_text=gettext_lazy("Separated by commas."),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, may_operate: bool = True) -> None:
        super().__init__(data)
        if not may_operate:
            kind = self.fields["kind"]
            kind.widget, kind.required = forms.HiddenInput(), False
            self.fields["queues"].widget = forms.HiddenInput()
            roles = [each for each in TokenRole.choices if each[0] != TokenRole.OPERATOR]
            self.fields["role"].choices = roles  # type: ignore[attr-defined]
        self.fields["role"].condition = "person"  # type: ignore[attr-defined]
        self.fields["queues"].condition = "worker"  # type: ignore[attr-defined]

    def clean_kind(self) -> str:
        """Return the kind."""
        return self.cleaned_data["kind"] or TokenKind.PERSON

    def clean_queues(self) -> list[str]:
        """Return the names."""
        return [name.strip() for name in self.cleaned_data["queues"].split(",") if name.strip()]
