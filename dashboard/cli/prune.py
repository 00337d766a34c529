"""canopy prune: deletes what is due by the retention rules, or says what that would be."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.cli.django_setup import with_django
from dashboard.cli.examples import examples
from dashboard.cli.refusal import Refused

if TYPE_CHECKING:
    from datetime import timedelta

    from dashboard.models import PruneRun
    from dashboard.retention.runs import Preview

EXAMPLES = examples(
    ("how many batches, rows and megabytes are due, by rule", "canopy prune --dry-run"),
    ("delete what is due by the rules", "canopy prune"),
    ("90 days for batches that no rule fits, for this run", "canopy prune --older-than 90d"),
)
RUNNING = 75
"""Exit status where another run deletes: sysexits.h's EX_TEMPFAIL, try again later."""


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted, and delete nothing.")] = False,
    older_than: Annotated[
        str,
        typer.Option(metavar="AGE", help="Also delete batches that no rule fits once they are so old: 90d, 12h, 45m."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Delete what is due by the retention rules.

    That is old batches with their uploads, expired sessions, and old records of log-ins and deliveries. The audit trail
    is kept. Exits with 75 if another run is deleting already.
    """
    with_django()
    from dashboard.retention import runs

    age = _age(older_than)
    if dry_run:
        _say(_of_preview(runs.preview(age)), as_json=as_json, verb="would be deleted")
        return
    try:
        done = runs.prune("canopy prune", age)
    except runs.AlreadyRunning:
        raise Refused("Another run is deleting what is due.", exit_status=RUNNING) from None
    _say(_of_run(done), as_json=as_json, verb="deleted")


def _age(older_than: str) -> timedelta | None:
    from dashboard.retention.rules import age_of

    try:
        return age_of(older_than) if older_than else None
    except ValueError as error:
        raise Refused(str(error)) from None


def _of_preview(found: Preview) -> dict[str, Any]:
    by_rule = {rule: dict(vars(total)) for rule, total in found.by_rule.items()}
    return {**vars(found.total), "by_rule": by_rule, "others": dict(found.others)}


def _of_run(done: PruneRun) -> dict[str, Any]:
    names = ("batches", "rows", "bytes", "by_rule", "others", "longest")
    return {name: getattr(done, name) for name in names}


def _say(found: dict[str, Any], *, as_json: bool, verb: str) -> None:
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    lines = [f"{_total(total)}  {rule}" for rule, total in found["by_rule"].items()]
    lines += [f"{number:>9,} {name}" for name, number in found["others"].items()]
    lines.append(f"{_total(found)}  {verb} in all")
    sys.stdout.write("\n".join(lines) + "\n")


def _total(of: dict[str, Any]) -> str:
    return f"{of['batches']:>9,} batches {of['rows']:>12,} rows {of['bytes'] / 1e6:>10,.1f} MB"
