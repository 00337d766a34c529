"""Wording: texts that are put into the reader's language when they are shown, and numbers as that language has them."""

from __future__ import annotations

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

Words = str | Promise
"""A text, or one that is translated only when it is shown."""


def said(text: str) -> Words:
    """Return a text that code without Django has written, in the reader's language once it is shown."""
    return gettext_lazy(text) if text else ""


def numeral(number: float) -> str:
    """Return a number without decimals: 1,204 or 1.204."""
    return str(number_format(number, 0, force_grouping=True))
