"""Contexts of the pattern pages: the presets by group, and the guide to choosing one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.token import Token

from dashboard import resources
from orchestration.plan.presets import PRESETS, Preset

GUIDE = resources.DOCS / "patterns.md"

SHARED_SECTION = "an-activity-per-item-and-without-children"
SECTIONS = {"item-activities": SHARED_SECTION, "no-children": SHARED_SECTION}
"""Sections of presets that have none with their own title."""

EXAMPLES = ("pipeline", "saga", "services", "steps")
"""Sections about definitions, each with an example in the editor."""


def section_of(preset: Preset) -> str:
    """Return the id of the guide's section about a preset."""
    return SECTIONS.get(preset.name, slugify(preset.title))


@dataclass(frozen=True)
class GuideSection:
    """A heading of the guide with its text; `level` is 2 or 3, and 1 for the title."""

    level: int
    title: str
    slug: str
    body: SafeString

    @property
    def presets(self) -> Sequence[Preset]:
        """The presets that the section is about."""
        return [preset for preset in PRESETS if section_of(preset) == self.slug] if self.level == 3 else []

    @property
    def example(self) -> str:
        """The address of the editor with the example that the section is about, if any."""
        return f"{reverse('definition-create')}?example={self.slug}" if self.slug in EXAMPLES else ""


@dataclass(frozen=True)
class PatternGuidePage:
    """Context of the guide."""

    sections: Sequence[GuideSection]
    may_operate: bool


@dataclass(frozen=True)
class PatternListPage:
    """Context of the presets by group."""

    groups: Mapping[str, Sequence[tuple[Preset, str]]]


@lru_cache(maxsize=1)
def guide_sections() -> Sequence[GuideSection]:
    """Read the guide. Its markup is trusted because it is part of Canopy; raw HTML in it is escaped anyway."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(GUIDE.read_text())
    starts = [at for at, token in enumerate(tokens) if token.type == "heading_open"]
    found = []
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        title = tokens[start + 1].content
        body = _rendered(parser, tokens[start + 3 : end])
        found.append(GuideSection(int(tokens[start].tag[1]), title, slugify(title), body))
    return found


def _rendered(parser: MarkdownIt, tokens: Sequence[Token]) -> SafeString:
    html = parser.renderer.render(tokens, parser.options, {})
    html = html.replace("<table>", '<table tabindex="0">')  # focusable, because it scrolls on narrow screens
    rendered: SafeString = mark_safe(html)  # noqa: S308
    return rendered
