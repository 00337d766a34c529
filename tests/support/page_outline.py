"""What assistive technology reads of a page first: its title, headings and landmarks."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser


class PageOutline(HTMLParser):
    """Collects the title, the levels of headings in order, and the numbers of landmarks; not within dialogs."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.title, self.levels, self.landmarks = "", list[int](), Counter[str]()
        self.links = list[str]()
        self._in_title, self._dialogs = False, 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Read an element."""
        self._in_title = tag == "title" and not self.title  # later ones are those of pictures
        self._dialogs += tag == "dialog"
        if self._dialogs:
            return
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdecimal():
            self.levels.append(int(tag[1]))
        elif tag in ("main", "nav", "header"):
            self.landmarks[tag] += 1
        elif tag == "a":
            self.links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._in_title = False
        self._dialogs -= tag == "dialog"

    def handle_data(self, data: str) -> None:
        """Read a text."""
        if self._in_title:
            self.title += data

    @property
    def problems(self) -> list[str]:
        """What is wrong with them."""
        found = []
        if self.levels.count(1) != 1 or self.levels[0] != 1:
            found.append(f"headings {self.levels} do not begin with the only h1")
        steps = zip(self.levels, self.levels[1:], strict=False)
        found += [f"a heading h{below} follows h{above}" for above, below in steps if below > above + 1]
        if self.landmarks["main"] != 1:
            found.append(f"{self.landmarks['main']} main landmarks")
        name = self.title.rpartition(" · ")[0].strip()
        if not name or name == "Canopy":
            found.append(f"the title {self.title!r} does not name the page")
        return found
