"""Wording: sentences for a person, which whoever shows them may have put into that person's language.

Here they are English; the dashboard lets `use` its own translations. Not for workflow code, which must say the same
each time.
"""

from __future__ import annotations

from collections.abc import Callable

_translate: list[Callable[[str], str]] = [str]


def use(translate: Callable[[str], str]) -> None:
    """Have sentences translated by a function from English."""
    _translate[0] = translate


def _(text: str) -> str:
    """Return a sentence, or its pattern, in the reader's language."""
    return _translate[0](text)
