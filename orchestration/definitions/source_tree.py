"""The source of a definition as a tree of values with line and column. YAML 1.2 scalars; JSON as well.

Safe for untrusted text: no tags, no recursion, and all limits are checked while reading, so that every text soon yields
a tree or DefinitionErrors.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from orchestration.definitions.models import MAX_TEXT_BYTES

MAX_NESTING = 120
"""Nesting of lists and mappings: enough for MAX_DEPTH steps and conditions with some data within."""

MAX_EXPANDED = 2 * MAX_TEXT_BYTES
"""Characters and two for each value, with all aliases expanded."""

MAX_VALUES = 250_000
"""Values and keys, with all aliases expanded: what checking a definition takes is time for each of them."""

MAX_ERRORS = 100

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATES = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {word: value for text, value in (("null", None), ("true", True), ("false", False)) for word in
          (text, text.title(), text.upper())} | {"": None, "~": None}  # fmt: skip


@dataclass(frozen=True, order=True)
class DefinitionError:
    """An error and its place. `line` and `column` count from 1; `path` is e.g. steps[2].run, "" for the whole."""

    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f" ({self.path})" if self.path else ""
        return f"Line {self.line}{place}: {self.message}"


class DefinitionErrors(Exception):
    """The text is no valid definition; `errors` are in the order of the text."""

    def __init__(self, errors: list[DefinitionError]) -> None:
        self.errors = tuple(sorted(set(errors)))[:MAX_ERRORS]
        super().__init__("\n".join(str(error) for error in self.errors))


@dataclass(frozen=True)
class Mark:
    """A place in the text; both count from 1."""

    line: int
    column: int


@dataclass
class Tree:
    """One value of the text: a scalar, a list, or a mapping with the marks of its keys."""

    mark: Mark
    value: Any
    keys: dict[str, Mark] = field(default_factory=dict)
    size: int = 2
    values: int = 1
    height: int = 0

    def plain(self) -> Any:
        """Return the value without its marks. Recursion is bounded by MAX_NESTING."""
        if isinstance(self.value, dict):
            return {name: each.plain() for name, each in self.value.items()}
        if isinstance(self.value, list):
            return [each.plain() for each in self.value]
        return self.value

    def get(self, name: str) -> Tree | None:
        """Return the value of a key; None if this is no mapping, or has no such key."""
        return self.value.get(name) if isinstance(self.value, dict) else None

    def entries(self, name: str) -> list[Tree]:
        """Return the list under a key; empty if there is none."""
        found = self.get(name)
        return found.value if found is not None and isinstance(found.value, list) else []

    def text(self, name: str) -> str | None:
        """Return the text under a key, or None."""
        found = self.get(name)
        return found.value if found is not None and isinstance(found.value, str) else None


def read(text: str) -> Tree:
    """Read one document. Raises DefinitionErrors."""
    if len(text) > MAX_TEXT_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise source_error(Mark(1, 1), f"The definition is larger than {MAX_TEXT_BYTES // 1024**2} MB.")
    if (bad := _UNPRINTABLE.search(text)) is not None:
        place = Mark(text.count("\n", 0, bad.start()) + 1, bad.start() - text.rfind("\n", 0, bad.start()))
        raise source_error(place, f"The character U+{ord(bad[0]):04X} is not allowed.")
    if not text.strip():
        raise source_error(Mark(1, 1), "The definition is empty.")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.count("\n") + 1
    builder = _Builder(lines)
    try:
        for event in yaml.parse(_json_as_yaml(text), Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        mark, words = _words_of(error)
        raise source_error(Mark(min(mark.line, lines), mark.column), words) from error
    if builder.root is None:
        raise source_error(Mark(1, 1), "The definition is empty.")
    return builder.root


def source_error(mark: Mark, message: str) -> DefinitionErrors:
    """Return DefinitionErrors with one error about the source itself."""
    return DefinitionErrors([DefinitionError(mark.line, mark.column, "", message)])


def _json_as_yaml(text: str) -> str:
    """Replace the two things in JSON that YAML rejects: tabs between values, and pairs of surrogates."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _SURROGATES.sub(lambda pair: json.dumps(json.loads(f'"{pair[0]}"'), ensure_ascii=False)[1:-1], text).replace(
        "\t", " "
    )


def _words_of(error: yaml.YAMLError) -> tuple[Mark, str]:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        words = ", ".join(part for part in (error.context, error.problem) if part)
        place = Mark(mark.line + 1, mark.column + 1) if mark is not None else Mark(1, 1)
        return place, f"This is not YAML: {words}."
    return Mark(1, 1), f"This is not YAML: {error}."


@dataclass
class _Open:
    """A list or mapping that is being read. `key` is the key whose value comes next."""

    tree: Tree
    anchor: str | None
    key: str | None = None


class _Builder:
    """Builds the tree from YAML events, with an explicit stack."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self.root: Tree | None = None
        self._stack: list[_Open] = []
        self._anchors: dict[str, Tree] = {}
        self._expanded = 0
        self._values = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Process the next event. Raises DefinitionErrors."""
        assert event.start_mark is not None
        mark = Mark(min(event.start_mark.line + 1, self._lines), event.start_mark.column + 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise source_error(mark, "There is more than one document.")
        elif isinstance(event, yaml.NodeEvent):
            self._take_node(event, mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self._stack.pop()
            if closed.anchor is not None:
                self._anchors[closed.anchor] = closed.tree
            self._put(closed.tree)

    def _take_node(self, event: yaml.NodeEvent, mark: Mark) -> None:
        if getattr(event, "tag", None) is not None:
            raise source_error(mark, f"Tags such as {event.tag} are not allowed.")  # type: ignore[attr-defined]
        if isinstance(event, yaml.AliasEvent):
            self._put(self._aliased(event.anchor or "", mark))
        elif isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event, mark)
        else:
            self._awaits_key(mark, "A key must be a word, not a list or a mapping.")
            if len(self._stack) >= MAX_NESTING:
                raise source_error(mark, f"Nested more than {MAX_NESTING} levels deep.")
            self._grow(2, 1, mark)
            value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._stack.append(_Open(Tree(mark, value), event.anchor))

    def _take_scalar(self, event: yaml.ScalarEvent, mark: Mark) -> None:
        self._grow(len(event.value) + 2, 1, mark)
        if (bad := _UNPRINTABLE.search(event.value)) is not None:
            raise source_error(mark, f"The character U+{ord(bad[0]):04X} is not allowed.")
        parent = self._stack[-1] if self._stack else None
        if parent is not None and isinstance(parent.tree.value, dict) and parent.key is None:
            first = parent.tree.keys.get(event.value)
            if first is not None:
                raise source_error(mark, f'The key "{_short(event.value)}" is given twice, first in line {first.line}.')
            parent.key = event.value
            parent.tree.keys[event.value] = mark
            return
        value = _scalar(event.value, mark) if event.implicit[0] else event.value
        tree = Tree(mark, value, size=len(event.value) + 2)
        if event.anchor is not None:
            self._anchors[event.anchor] = tree
        self._put(tree)

    def _aliased(self, name: str, mark: Mark) -> Tree:
        self._awaits_key(mark, "A key cannot be an alias.")
        if any(each.anchor == name for each in self._stack):
            raise source_error(mark, f"The anchor &{_short(name)} contains itself: a cycle.")
        tree = self._anchors.get(name)
        if tree is None:
            raise source_error(mark, f"There is no anchor &{_short(name)} before this.")
        if len(self._stack) + tree.height > MAX_NESTING:
            raise source_error(mark, f"Nested more than {MAX_NESTING} levels deep.")
        self._grow(tree.size, tree.values, mark)
        return tree

    def _awaits_key(self, mark: Mark, message: str) -> None:
        if self._stack and isinstance(self._stack[-1].tree.value, dict) and self._stack[-1].key is None:
            raise source_error(mark, message)

    def _grow(self, characters: int, values: int, mark: Mark) -> None:
        self._expanded += characters
        self._values += values
        if self._expanded > MAX_EXPANDED or self._values > MAX_VALUES:
            most = f"{MAX_VALUES:,} values" if self._values > MAX_VALUES else f"{MAX_EXPANDED:,} characters"
            whole = "With its anchors written out, the" if self._anchors else "The"
            raise source_error(mark, f"{whole} definition has more than {most}.")

    def _put(self, tree: Tree) -> None:
        """Add a complete value to its parent."""
        if not self._stack:
            self.root = tree
            return
        parent = self._stack[-1]
        if isinstance(parent.tree.value, list):
            parent.tree.value.append(tree)
        else:
            assert parent.key is not None
            parent.tree.value[parent.key] = tree
            parent.tree.size += len(parent.key) + 2
            parent.tree.values += 1
            parent.key = None
        parent.tree.size += tree.size
        parent.tree.values += tree.values
        parent.tree.height = max(parent.tree.height, tree.height + 1)


def _scalar(text: str, mark: Mark) -> Any:
    """Return the value of a scalar without quotes. 007 and 2026-01-01 are text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > 19:
            raise source_error(mark, "This number is too large. Put it in quotes if it is text.")
        return int(text)
    if (
        _FLOAT.fullmatch(text)
        and len(text) < 400
        and not _INTEGER.fullmatch(text)
        and not re.match(r"[-+]?0[0-9]", text)
    ):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise source_error(mark, "This number is too large.")
        return number
    return text


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
