"""Findings: what a diagnosis may say of a batch that does not move, in words for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from orchestration.translation import ngettext


class Severity(StrEnum):
    """What a finding asks for: somebody's doing, a look, or nothing."""

    PROBLEM = "problem"
    WARNING = "warning"
    INFO = "info"


class FindingCode(StrEnum):
    """What was found; the same word in the API and in the page."""

    TEMPORAL_AWAY = "temporal_away"
    NOT_STARTED = "not_started"
    CLOSED = "closed"
    NO_WORKER = "no_worker"
    WORKER_LOST = "worker_lost"
    SLOTS_FULL = "slots_full"
    MEMORY_SHORT = "memory_short"
    NOT_PICKED_UP = "not_picked_up"
    NOT_REGISTERED = "not_registered"
    ID_TAKEN = "id_taken"
    WORKFLOW_TASK_FAILS = "workflow_task_fails"
    ACTIVITY_RETRIES = "activity_retries"
    HEARTBEAT_MISSING = "heartbeat_missing"
    NOTIFY_FAILS = "notify_fails"
    PAUSED = "paused"
    PAUSED_IN_TEMPORAL = "paused_in_temporal"
    WINDOW_FULL = "window_full"
    CHILDREN_OPEN = "children_open"


@dataclass(frozen=True)
class Finding:
    """One reason why a batch does not move. `subject` is a workflow id or a task queue.

    `what` and `advice` are sentences for a person, `detail` is what Temporal said (an error, identities, ids), `since`
    the time from which on it has been so, where that is known.
    """

    code: FindingCode
    severity: Severity
    subject: str
    what: str
    advice: str
    detail: str = ""
    since: datetime | None = None


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings gravest first; those that differ in their subject alone are said once, with their number."""
    alike = dict[tuple[FindingCode, str], list[Finding]]()
    for finding in findings:
        alike.setdefault((finding.code, finding.detail), []).append(finding)
    said = [_said_once(group) for group in alike.values()]
    return sorted(said, key=lambda finding: list(Severity).index(finding.severity))


def _said_once(group: list[Finding]) -> Finding:
    times = [finding.since for finding in group if finding.since is not None]
    more = len({finding.subject for finding in group}) - 1
    what = group[0].what
    if more:
        affected = ngettext(" %(number)s other is affected, too.", " %(number)s others are affected, too.", more)
        what += affected % {"number": more}
    return replace(group[0], what=what, since=min(times, default=None))
