"""canopy check: what is wrong here, and how to fix it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from dashboard.cli.django_setup import find_own_modules, with_django
from dashboard.cli.examples import examples

EXAMPLES = examples(
    ("what is wrong on this machine?", "canopy check"),
    ("in a script: go on unless something keeps Canopy from working", "canopy check || test $? -eq 1"),
    ("for a program", "canopy check --json"),
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object: status, and what was found.")]


def check(as_json: AsJson = False) -> None:
    """Check this installation, and say how to fix what is wrong.

    It checks the settings, the secret key, files and their rights, room on the disk, the storage of uploads, the
    database and its migrations, Redis, Temporal and its namespace, the clocks of both, and whether a worker polls each
    task queue. Each is a line that begins with ok, warn or fail. Ends with 0 if all is well, 1 for warnings, 2
    if something keeps Canopy from working. Changes nothing.

    Where TEMPORAL_ADDRESS is not set, it checks the Temporal that `canopy run` has started.
    """
    find_own_modules()
    with_django()
    from django.conf import settings

    from dashboard.server.processes import temporal_of_run
    from orchestration.temporal.profile import names_a_server

    if not names_a_server():
        os.environ |= temporal_of_run(settings.HOME)
    from dashboard.preflight.findings import Level, gravest
    from dashboard.preflight.report import all_findings

    found = []
    for each in all_findings():
        found.append(each)
        if not as_json:
            typer.echo(each.line)
    worst = gravest(found)
    if as_json:
        checks = [asdict(each) | {"level": each.level.name.lower()} for each in found]
        typer.echo(json.dumps({"status": worst.name.lower(), "checks": checks}, indent=2))
    if worst is not Level.OK:
        raise typer.Exit(int(worst))
