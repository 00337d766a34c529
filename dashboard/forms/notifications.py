"""The form of a subscription; the API validates with it, too."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.forms.fields import BOUND_ERRORS
from dashboard.models import Batch, Channel, Occasion, Subscription
from orchestration.processors.catalogue import processors

EMAIL_NOT_CONFIGURED = gettext_lazy("E-mail is not configured: EMAIL_URL is not set.")


class SubscriptionForm(forms.ModelForm):  # type: ignore[type-arg]
    """The fields of a subscription; an empty `batch` means all batches that the other fields match."""

    channel = forms.ChoiceField(
        label=gettext_lazy("Channel"), choices=Channel.choices, initial=Channel.WEBHOOK, widget=forms.RadioSelect
    )
    occasions = forms.MultipleChoiceField(
        label=gettext_lazy("Notify when a batch is"),
        choices=Occasion.choices,
        initial=[each.value for each in Occasion],
        widget=forms.CheckboxSelectMultiple,
    )
    threshold = forms.IntegerField(
        label=gettext_lazy("Alert when failure rate exceeds"),
        min_value=0,
        max_value=99,
        error_messages=BOUND_ERRORS,
        initial=0,
        required=False,
        help_text=gettext_lazy("Percent of the batch's children. 0: at the first failure."),
    )
    batch = forms.ModelChoiceField(Batch.objects.all(), required=False, widget=forms.HiddenInput)

    class Meta:
        model = Subscription
        fields = ("channel", "address", "occasions", "threshold", "processor", "tag", "batch")
        labels = {
            "address": gettext_lazy("To"),
            "processor": gettext_lazy("Only for processor"),
            "tag": gettext_lazy("Only with tag"),
        }
        help_texts = {"address": gettext_lazy("Webhook URL or e-mail address.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = sorted({*processors(), *Batch.objects.order_by().values_list("processor", flat=True).distinct()})
        self.fields["processor"] = forms.ChoiceField(
            label=_("Only for processor"), required=False, choices=[("", _("Any")), *((name, name) for name in names)]
        )
        self.fields["address"].widget.attrs.update({"autocomplete": "off", "spellcheck": "false"})

    def clean_threshold(self) -> int:
        """Return 0 for an empty field."""
        return self.cleaned_data["threshold"] or 0

    def clean(self) -> dict[str, Any] | None:
        """Validate the address for its channel."""
        cleaned = super().clean() or self.cleaned_data
        address, channel = cleaned.get("address", ""), cleaned.get("channel")
        if channel == Channel.EMAIL and address:
            try:
                validate_email(address)
            except ValidationError as error:
                self.add_error("address", error)
            if not settings.EMAIL_URL:
                self.add_error("channel", EMAIL_NOT_CONFIGURED)
        elif channel == Channel.WEBHOOK and address and not _is_url(address):
            self.add_error("address", _("Enter a URL that starts with http:// or https://, followed by a host."))
        return cleaned


def _is_url(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
