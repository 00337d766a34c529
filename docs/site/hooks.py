"""What `make docs` adds to MkDocs: pages from outside of docs/, lists of folders, pages without inline scripts."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent

OUTSIDE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "reporting.md"}
"""Pages that a repository has beside docs/, and what they are called on the site."""

UNUSED = ("404.html",)
"""Templates of the theme that need the site's address, which differs by installation."""

NOT_SERVED = ("**/*.map", "sitemap.xml*", "assets/javascripts/lunr/**/*.js")
"""What the theme brings for its developers, for search engines, and to search other languages than English."""

INLINE_SCRIPT = re.compile(r"<script>(.+?)</script>", re.DOTALL)
TITLED = re.compile(r"^( *```\w+) ([\w.-]+)$", re.MULTILINE)
"""A block that is a file: ```python name.py."""

PICTURE = re.compile(r'<p><img alt="[^"]*" src="(?:\.\./)*(assets/[\w-]+\.svg)"\s*/?></p>')

BOOSTS = {"runbooks": 3, "decisions": 0.3, "changelog.md": 0.3}
"""How far up a page stands among what a search finds, by the first part of its path."""

UNRENDERED = re.compile(r"<p>[^<]*\n(?:- |\d+\. |\| )|<p>(?:\| |```)")
"""A list or table that MkDocs, other than GitHub, took for text: it needs an empty line before it."""

scripts: dict[str, str] = {}
"""Inline scripts of the theme by the name of the file that replaces them."""


def on_config(config: MkDocsConfig) -> None:
    """Expand folders in the navigation, and leave out templates that need an address."""
    config.theme.static_templates.difference_update(UNUSED)
    named = set(re.findall(r"[\w/-]+\.md", repr(config.nav)))
    config.nav = _expanded(config.nav, Path(config.docs_dir), named)


def _expanded(entry: Any, docs: Path, named: set[str]) -> Any:
    if isinstance(entry, list):
        return [_expanded(each, docs, named) for each in entry]
    if isinstance(entry, dict):
        return {title: _expanded(below, docs, named) for title, below in entry.items()}
    if not entry.endswith("/*"):
        return entry
    folder = entry.removesuffix("/*")
    pages = sorted(path.relative_to(docs).as_posix() for path in (docs / folder).rglob("*.md"))
    first = [f"{folder}/index.md"] if folder == "decisions" else []
    return first + [page for page in pages if page not in named]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages beside docs/, the icon of the dashboard, and the list of decisions."""
    for name, page in OUTSIDE.items():
        text = (ROOT / name).read_text().replace("](docs/", "](").replace("](README.md", "](index.md")
        files.append(File.generated(config, page, content=_inside(text)))
    files.append(File.generated(config, "assets/icon.svg", content=(ROOT / "static" / "icon.svg").read_text()))
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    titles = [f"- [{path.read_text().splitlines()[0].lstrip('# ')}]({path.name})" for path in pages]
    content = "# Decisions\n\nWhy things are as they are, where a reader would ask.\n\n" + "\n".join(titles) + "\n"
    files.append(File.generated(config, "decisions/index.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Rank a page in the search, point its links to where pages are on the site, name files as MkDocs wants it."""
    folder = page.file.src_uri.partition("/")[0]
    page.meta["search"] = {"boost": BOOSTS.get(folder, 1), "exclude": page.file.src_uri == "decisions/index.md"}
    markdown = TITLED.sub(r'\1 title="\2"', markdown)
    up = "../" * page.file.src_uri.count("/")
    return _inside(re.sub(r"\]\((?:\.\./)+(" + "|".join(map(re.escape, OUTSIDE)) + r")", rf"]({up}\1", markdown))


def _inside(text: str) -> str:
    text = text.replace("](decisions)", "](decisions/index.md)")
    for name, page in OUTSIDE.items():
        text = re.sub(rf"\]\(((?:\.\./)*){re.escape(name)}", rf"](\g<1>{page}", text)
    return text


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Put pictures into the page, whose colours they follow; refuse a list or table that MkDocs took for text."""
    if found := UNRENDERED.search(html):
        raise PluginError(f"{page.file.src_uri}: a list or table needs an empty line before it: {found[0]!r}")
    return PICTURE.sub(lambda found: f'<div class="scroll">{(DOCS / found[1]).read_text()}</div>', html)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Move inline scripts of the theme to files: the dashboard's content security policy forbids them."""

    def moved(found: re.Match[str]) -> str:
        name = f"assets/inline/{hashlib.sha256(found[1].encode()).hexdigest()[:12]}.js"
        scripts[name] = found[1]
        return f'<script src="{get_relative_url(name, page.url)}"></script>'

    return INLINE_SCRIPT.sub(moved, output)


def on_post_build(config: MkDocsConfig) -> None:
    """Write the scripts, and remove what nobody asks for."""
    for path in [path for pattern in NOT_SERVED for path in Path(config.site_dir).glob(pattern)]:
        path.unlink()
    for name, text in scripts.items():
        path = Path(config.site_dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
