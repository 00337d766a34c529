"""Findings of a diagnosis: reasons why a batch makes no progress, in words for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from orchestration.translation import ngettext


class Severity(StrEnum):
    """What a finding calls for: action, attention, or nothing."""

    PROBLEM = "problem"
    WARNING = "warning"
    INFO = "info"


class FindingCode(StrEnum):
    """Kind of finding; part of the API and of the page."""

    TEMPORAL_AWAY = "temporal_away"
    NOT_STARTED = "not_started"
    CLOSED = "closed"
    HISTORY_GONE = "history_gone"
    NO_WORKER = "no_worker"
    WORKER_LOST = "worker_lost"
    WORKER_FROZEN = "worker_frozen"
    THREADS_STUCK = "threads_stuck"
    SLOTS_FULL = "slots_full"
    MEMORY_SHORT = "memory_short"
    NOT_PICKED_UP = "not_picked_up"
    NOT_REGISTERED = "not_registered"
    ID_TAKEN = "id_taken"
    WORKFLOW_TASK_FAILS = "workflow_task_fails"
    ACTIVITY_RETRIES = "activity_retries"
    HEARTBEAT_MISSING = "heartbeat_missing"
    LOOP_BLOCKED = "loop_blocked"
    NOTIFY_FAILS = "notify_fails"
    PAUSED = "paused"
    PAUSED_IN_TEMPORAL = "paused_in_temporal"
    WINDOW_FULL = "window_full"
    CHILDREN_OPEN = "children_open"


@dataclass(frozen=True)
class Finding:
    """One reason why a batch makes no progress. `subject` is a workflow id or a task queue.

    `what` and `advice` are sentences for a person, `detail` is from Temporal (an error, identities, ids). `since`: from
    which time on, where known.
    """

    code: FindingCode
    severity: Severity
    subject: str
    what: str
    advice: str
    detail: str = ""
    since: datetime | None = None


def merge_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings gravest first; those that differ only in their subject are merged into one, with their number."""
    alike = dict[tuple[FindingCode, str], list[Finding]]()
    for finding in findings:
        alike.setdefault((finding.code, finding.detail), []).append(finding)
    groups = [_merge_group(group) for group in alike.values()]
    return sorted(groups, key=lambda finding: list(Severity).index(finding.severity))


def _merge_group(group: list[Finding]) -> Finding:
    times = [finding.since for finding in group if finding.since is not None]
    more = len({finding.subject for finding in group}) - 1
    what = group[0].what
    if more:
        affected = ngettext(" %(number)s other is affected, too.", " %(number)s others are affected, too.", more)
        what += affected % {"number": more}
    return replace(group[0], what=what, since=min(times, default=None))
