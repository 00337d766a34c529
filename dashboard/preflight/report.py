"""All findings, in the order in which one depends on another."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.preflight.database_checks import database_findings
from dashboard.preflight.file_checks import file_findings
from dashboard.preflight.findings import Finding
from dashboard.preflight.redis_checks import redis_findings
from dashboard.preflight.settings_checks import settings_findings
from dashboard.preflight.temporal_checks import temporal_findings
from dashboard.temporal import gateway


def all_findings() -> Iterator[Finding]:
    """Yield each finding as soon as it is known; a neighbour that does not answer takes some seconds."""
    yield from settings_findings()
    yield from file_findings()
    yield from database_findings()
    yield from redis_findings()
    yield from temporal_findings(gateway())
