"""The text of a definition as people see it who may not change it: what looks like a credential is masked."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from orchestration.definitions.source_tree import MAX_NESTING
from orchestration.processors.credentials import is_named_like_credential, masked_credentials, without_credentials
from orchestration.processors.secrets import MASK
from orchestration.processors.templating import PLACEHOLDER

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_PAIR = re.compile(
    r"""(?<![\w-])([\w-]{1,60})(["']?[ \t]*:(?:[ \t]+|(?=["'])))("[^"\n]*"|'[^'\n]*'|[^\s,}\]][^,}\]\n]*)"""
)

Span = tuple[int, int]
"""Where a value begins and ends in the text."""


def text_without_credentials(text: str) -> str:
    """Return the text of a definition with what looks like a credential masked, however YAML spells it.

    Its lines stay where they are. Of a text that is no YAML each line is looked at by itself.
    """
    shown, end = list[str](), 0
    for begin, after in _credentials(text):
        shown += [text[end:begin], MASK, "\n" * text.count("\n", begin, after)]
        end = after
    return without_credentials(_PAIR.sub(_pair, "".join(shown) + text[end:]))


def _credentials(text: str) -> list[Span]:
    """Return where values stand that are credentials, in order."""
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
            if reader.depth > MAX_NESTING:  # no definition is, and what libyaml does with it takes quadratic time
                break
    except yaml.YAMLError:
        pass  # what was read until then counts
    return sorted(reader.found)


@dataclass
class _Open:
    """A list or mapping that is being read: the name that its values have, and whether a key comes next."""

    is_mapping: bool
    name: str
    awaits_key: bool = True


class _Reader:
    """Finds credentials in YAML events, with an explicit stack."""

    def __init__(self) -> None:
        self.found = set[Span]()
        self._stack = list[_Open]()
        self._anchors = dict[str, Span]()

    @property
    def depth(self) -> int:
        """How many lists and mappings are open."""
        return len(self._stack)

    def take(self, event: yaml.Event) -> None:
        """Look at the next event."""
        if isinstance(event, yaml.CollectionEndEvent):
            self._stack.pop()
        elif isinstance(event, yaml.NodeEvent):
            inner = self._stack[-1] if self._stack else _Open(False, "")
            is_key = inner.is_mapping and inner.awaits_key
            inner.awaits_key = not is_key
            if isinstance(event, yaml.CollectionStartEvent):
                is_mapping = isinstance(event, yaml.MappingStartEvent)
                self._stack.append(_Open(is_mapping, "" if is_mapping else inner.name))
            elif is_key:
                inner.name = event.value if isinstance(event, yaml.ScalarEvent) else ""
            else:
                self._take_value(event, inner.name)

    def _take_value(self, event: yaml.NodeEvent, name: str) -> None:
        if isinstance(event, yaml.AliasEvent):
            span = self._anchors.get(event.anchor or "")
            if span is not None and is_named_like_credential(name):
                self.found.add(span)
        elif isinstance(event, yaml.ScalarEvent):
            assert event.start_mark is not None
            assert event.end_mark is not None
            span = event.start_mark.index, event.end_mark.index
            if event.anchor is not None:
                self._anchors[event.anchor] = span
            if _is_credential(name, event.value):
                self.found.add(span)


def _is_credential(name: str, value: str) -> bool:
    """Whether a value is one by its name, or contains one in a way that only several lines show."""
    if not value.strip() or PLACEHOLDER.search(value):
        return False
    if is_named_like_credential(name):
        return True
    shown = masked_credentials(None, {name: value})[name]
    return bool(shown != value and without_credentials(value) == value)


def _pair(found: re.Match[str]) -> str:
    is_plain = is_named_like_credential(found[1]) and not PLACEHOLDER.search(found[3]) and found[3][0] not in "{[|>&*"
    is_plain = is_plain and found[3] not in ("''", '""')
    return f"{found[1]}{found[2]}{MASK}" if is_plain else found[0]
