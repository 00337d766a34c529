"""A batch's report as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dashboard.models import Report


def markdown(report: Report) -> str:
    """Return a report as Markdown."""
    return "\n".join(_lines(report.content)) + "\n"


def _lines(content: dict[str, Any]) -> Iterator[str]:
    batch, items, rate = content["batch"], content["items"], content["success_rate"]
    yield f"# {_cell(batch['label'] or batch['id'])}\n"
    yield f"Batch {batch['id']}, {batch['processor']}, launched by {_cell(content['launched_by'])}"
    yield f"at {content['launched_at']}.\n"
    yield f"{content['outcome'].capitalize()}. {content['reason']}".rstrip() + "\n"
    yield f"- Items: {items['total']:,}, {items['completed']:,} completed, {items['failed']:,} failed"
    yield "- Success rate: " + ("none finished" if rate is None else f"{rate:.1%}")
    yield "- Children: " + ", ".join(f"{number:,} {status}" for status, number in content["children"].items() if number)
    if content["seconds"]:
        yield "- Seconds of an item: " + ", ".join(f"{name} {value:.2f}" for name, value in content["seconds"].items())
    if summary := content.get("summary"):
        yield "\n## Summary\n"
        yield from (f"- {_cell(name)}: {_cell(str(value))}" for name, value in summary.items())
    if content["errors"]:
        yield "\n## Errors\n\n| number | type | sample | item |\n| ---: | --- | --- | --- |"
        for error in content["errors"]:
            kind, message, key = error["type"], error["sample"]["message"], error["sample"]["key"]
            yield f"| {error['number']:,} | {_cell(kind)} | {_cell(message)} | {_cell(key)} |"
    if content["slowest"]:
        yield "\n## Slowest items\n\n| item | seconds |\n| --- | ---: |"
        for item in content["slowest"]:
            yield f"| {_cell(item['key'])} | {item['seconds']:.2f} |"


def _cell(text: str) -> str:
    """Return text that stays in its cell."""
    return " ".join(text.replace("|", "\\|").split())
