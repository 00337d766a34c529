"""The form of a new API token."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy

from dashboard.models import TokenKind, TokenRole


class TokenForm(forms.Form):
    """Fields of a new token; `accounts.api_tokens` validates them, for the API too."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=100, help_text=gettext_lazy("The audit trail shows it.")
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=TokenKind.choices,
        initial=TokenKind.PERSON,
        help_text=gettext_lazy("Person: what you may do. Worker: the items of its queues. Events: a worker's plugin."),
    )
    role = forms.ChoiceField(
        label=gettext_lazy("Role"),
        choices=TokenRole.choices,
        required=False,
        help_text=gettext_lazy("Of a person's token."),
    )
    queues = forms.CharField(
        label=gettext_lazy("Task queues"),
        max_length=10_000,
        required=False,
        help_text=gettext_lazy("Of a worker's token, separated by commas."),
    )

    def clean_queues(self) -> list[str]:
        """Return the names."""
        return [name.strip() for name in self.cleaned_data["queues"].split(",") if name.strip()]
