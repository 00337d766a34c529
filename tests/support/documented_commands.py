"""The commands that docs/, README.md and CONTRIBUTING.md tell people to type, as lists of words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.environment import ROOT

TRIED = "<!-- tried -->"
"""Stands above a block that a test runs against a real stack."""

FENCE = re.compile(
    rf"^(?P<mark>{re.escape(TRIED)}\n)?(?P<indent> *)```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)

KINDS = ("sh", "console")
"""A console shows a session: what is typed stands behind `$ `."""

ENDS = {"do", "done", "then", "fi", "if", "until", "while", "!"}
"""Words between commands; so is what consists of ( ) ; & and |."""
REDIRECTIONS = {">", ">>", "<", ">&", "&>"}
ASSIGNMENT = re.compile(r"(\w+)=")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    kind: str
    text: str
    is_tried: bool

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def script(self) -> str:
        """What is typed."""
        if self.kind == "console":
            return "\n".join(line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ "))
        return self.text


@dataclass(frozen=True)
class Command:
    """One program with its arguments, and the variables that are set for it or from then on."""

    words: tuple[str, ...]
    place: str
    variables: frozenset[str] = field(default_factory=frozenset)


def pages() -> list[Path]:
    """Return all pages that people follow."""
    beside = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    return [*beside, *sorted(path for path in (ROOT / "docs").rglob("*.md") if "decisions" not in path.parts)]


def blocks() -> list[Block]:
    """Return the fenced blocks of all pages."""
    return [block for page in pages() for block in blocks_of(page, page.read_text())]


def blocks_of(page: Path, text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    for found in FENCE.finditer(text):
        indent = len(found["indent"])
        content = "\n".join(line[indent:] for line in found["text"].splitlines())
        yield Block(page, text.count("\n", 0, found.start()) + 1, found["kind"], content, bool(found["mark"]))


def commands() -> list[Command]:
    """Return every command of every block that is a shell's."""
    return [each for block in blocks() if block.kind in KINDS for each in commands_of(block.script, block.place)]


def commands_of(script: str, place: str) -> Iterator[Command]:
    """Yield the commands of a script: those in pipes, lists, loops and substitutions, too."""
    text, inner = _without_substitutions(script.replace("\\\n", " "))
    for each in inner:
        yield from commands_of(each, place)
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for token in [*lexer, ";"]:
            if token in ENDS or set(token) <= set("();&|"):
                yield from _command(words, place)
                words = []
            else:
                words.append(token)


def _without_substitutions(script: str) -> tuple[str, list[str]]:
    """Return a script with VALUE instead of each `$(…)`, and what stands in them. Arithmetic is only looked into."""
    found: list[str] = []
    while (begin := script.rfind("$(")) >= 0:  # the last one contains no other
        depth, end = 0, begin + 1
        for end in range(begin + 1, len(script)):
            depth += {"(": 1, ")": -1}.get(script[end], 0)
            if depth == 0:
                break
        inner = script[begin + 2 : end]
        if not inner.startswith("("):
            found.append(inner)
        script = f"{script[:begin]}VALUE{script[end + 1 :]}"
    return script, found


def _command(words: list[str], place: str) -> Iterator[Command]:
    words = list(_without_redirections(words))
    variables = set[str]()
    if words[:1] == ["export"]:
        yield Command((), place, frozenset(match[1] for word in words[1:] if (match := ASSIGNMENT.match(word))))
        return
    while words and (match := ASSIGNMENT.match(words[0])):
        variables.add(match[1])
        words = words[1:]
    if words or variables:
        yield Command(tuple(words), place, frozenset(variables))


def _without_redirections(words: list[str]) -> Iterator[str]:
    given = iter(words)
    kept: list[str] = []
    for word in given:
        if word in REDIRECTIONS:
            next(given, None)
            if kept and kept[-1] in ("1", "2"):
                kept.pop()
        else:
            kept.append(word)
    return iter(kept)
