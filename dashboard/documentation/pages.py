"""The pages of docs/ that are generated, where they stand, and whether they are as the code is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dashboard.documentation import api_reference, metric_reference, variables
from dashboard.documentation.environment_reads import ROOT

DOCS = ROOT / "docs"
METRICS = DOCS / "deployment" / "metrics.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def _between_marks(path: Path, text: str) -> str:
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


GENERATED: Mapping[Path, Callable[[], str]] = {
    DOCS / "configure.md": lambda: _between_marks(DOCS / "configure.md", variables.markdown()),
    DOCS / "api-reference.md": api_reference.markdown,
    METRICS: lambda: _between_marks(METRICS, metric_reference.markdown()),
}
"""The whole text of each page as it should be."""


def write_pages() -> list[Path]:
    """Write the pages that are not as the code is; return them."""
    texts = {path: made() for path, made in GENERATED.items()}
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        path.write_text(texts[path])
    return stale
