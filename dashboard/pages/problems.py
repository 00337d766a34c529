"""What is wrong with a form, as a list of links to its fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.forms import Form


@dataclass(frozen=True)
class Problem:
    """One error: the id of the element it is about, what that is called, and the reason."""

    place: str
    label: str
    reason: str


def problems_of(form: Form, names: Iterable[str] | None = None) -> list[Problem]:
    """Return the errors of a form in the order of its fields, those of the whole form first."""
    if not form.is_bound:
        return []
    shown = [form[name] for name in (form.fields if names is None else names)]
    whole = [Problem(f"{form.prefix or 'items'}-errors", "", str(reason)) for reason in form.non_field_errors()]
    return whole + [
        Problem(f"id_{field.html_name}", str(field.label), str(reason)) for field in shown for reason in field.errors
    ]
