"""Errors at the fields of a form that were too large to be read."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest

from dashboard.server.large_forms import fields_too_large, too_large_sentence


def add_too_large_errors(request: HttpRequest, *bound: forms.Form) -> None:
    """Say at each field that was left out of the request that it is too large, instead of that it is empty."""
    names = fields_too_large(request)
    for form in bound if names else ():
        for name in form.fields:
            if form.add_prefix(name) in names:
                form.errors.pop(name, None)
                form.add_error(name, too_large_sentence())
