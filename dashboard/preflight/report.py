"""All findings, in the order in which one depends on another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dashboard.preflight.database_checks import database_findings
from dashboard.preflight.file_checks import file_findings
from dashboard.preflight.findings import Finding, fail
from dashboard.preflight.redis_checks import redis_findings
from dashboard.preflight.settings_checks import settings_findings
from dashboard.preflight.temporal_checks import temporal_findings
from dashboard.temporal import gateway
from orchestration.errors.texts import first_line

PARTS: dict[str, Callable[[], Iterable[Finding]]] = {
    "settings": settings_findings,
    "files": file_findings,
    "database": database_findings,
    "redis": redis_findings,
    "temporal": lambda: temporal_findings(gateway()),
}


def all_findings() -> Iterator[Finding]:
    """Yield each finding as soon as it is known; a neighbour that does not answer takes some seconds.

    What keeps a part from being looked at is a finding, too, and the others are looked at.
    """
    for subject, part in PARTS.items():
        try:
            yield from part()
        except Exception as error:
            message = f"It cannot be looked at: {type(error).__name__}: {first_line(error)}"
            yield fail(subject, message, "Check what it names.")
