"""What a browser sends of a form that a person opened and changed nothing in."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from django.http import QueryDict

NATIVE = {
    "date": r"\d{4}-\d\d-\d\d",
    "datetime-local": r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?",
    "time": r"\d\d:\d\d(:\d\d(\.\d{1,3})?)?",
    "number": r"-?(\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?",
}


class _Fields(HTMLParser):
    """Collects the successful controls of a form, with their values sanitised as browsers do."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str]] = []
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []
        self._area: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Read a control."""
        given = {name: value or "" for name, value in attrs}
        if tag == "input" and "disabled" not in given and "name" in given:
            self._input(given)
        elif tag == "select":
            self._select, self._options = given["name"], []
        elif tag == "option":
            self._options.append((given["value"], "selected" in given))
        elif tag == "textarea":
            self._area, self._text = given["name"], ""

    def handle_data(self, data: str) -> None:
        """Read the text of a text area."""
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        """Finish a select or a text area."""
        if tag == "select" and self._select is not None:
            chosen = [value for value, is_selected in self._options if is_selected] or [self._options[0][0]]
            self.sent.append((self._select, chosen[-1]))
        elif tag == "textarea" and self._area is not None:
            text = re.sub(r"\r\n?", "\n", self._text).removeprefix("\n")
            self.sent.append((self._area, text.replace("\n", "\r\n")))

    def _input(self, given: dict[str, str]) -> None:
        kind, value = given.get("type", "text"), given.get("value", "")
        if kind == "checkbox":
            if "checked" in given:
                self.sent.append((given["name"], given.get("value", "on")))
            return
        if kind in NATIVE and not re.fullmatch(NATIVE[kind], value):
            value = ""
        self.sent.append((given["name"], re.sub(r"[\r\n]", "", value)))


def sent_unchanged(markup: str) -> QueryDict:
    """Return the form data of a form's markup."""
    fields = _Fields()
    fields.feed(markup)
    fields.close()
    data = QueryDict(mutable=True)
    for name, value in fields.sent:
        data.appendlist(name, value)
    return data
