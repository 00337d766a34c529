"""Translation of sentences for a person: English by default, by the dashboard's translations once it calls `use`.

Not for workflow code, which must be deterministic.
"""

from __future__ import annotations

from collections.abc import Callable

_translate: list[Callable[[str], str]] = [str]
_translate_plural: list[Callable[[str, str, int], str]] = [
    lambda singular, plural, number: singular if number == 1 else plural
]


def use(translate: Callable[[str], str], translate_plural: Callable[[str, str, int], str]) -> None:
    """Have sentences translated by functions from English, such as gettext and ngettext."""
    _translate[0], _translate_plural[0] = translate, translate_plural


def _(text: str) -> str:
    """Return a sentence, or its pattern, in the reader's language."""
    return _translate[0](text)


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the form of a sentence that goes with a number, in the reader's language."""
    return _translate_plural[0](singular, plural, number)
