"""canopy worker: a worker next to the dashboard's database, or on a machine that has only the dashboard's address."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Annotated

import typer

from dashboard.cli.django_setup import call, find_own_modules, require_migrated
from dashboard.cli.examples import examples
from dashboard.cli.refusal import Refused
from orchestration.extras import how_to_install

URL, TOKEN = "CANOPY_URL", "CANOPY_TOKEN"

EXAMPLES = examples(
    ("next to the database: workflows, and the items of the queue `canopy`", "canopy worker"),
    (
        "on another machine, which has neither Django nor the database",
        "CANOPY_URL=https://canopy.example.org CANOPY_TOKEN=canopy_… canopy worker --queue heavy",
    ),
    ("with processors of your own, in my_processors.py", "canopy worker --processors my_processors"),
)


Queues = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Task queue. Repeatable. Default: `canopy`; required with CANOPY_TOKEN.",
        show_default=False,
    ),
]
Processors = Annotated[
    str,
    typer.Option(metavar="MODULES", help="Modules with processors, separated by commas. Default: CANOPY_PROCESSORS."),
]
Grace = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0,
        help="How long items may go on after SIGTERM; then others take them over. Default: 5.",
        show_default=False,
    ),
]
IsRemote = Annotated[
    bool | None,
    typer.Option(
        "--remote/--local",
        help="Use the dashboard's API, or its database. Default: remote if CANOPY_TOKEN is set.",
        show_default=False,
    ),
]


def worker(queue: Queues = None, processors: Processors = "", grace: Grace = None, is_remote: IsRemote = None) -> None:
    """Run a worker: workflows, and the items of task queues.

    Without CANOPY_TOKEN it uses the dashboard's database (DATABASE_URL) and runs workflows, too. With CANOPY_TOKEN, a
    worker's API token, it needs only the dashboard's address (CANOPY_URL) and Temporal, and no package of the
    dashboard. Temporal: TEMPORAL_ADDRESS and its other variables, or a profile of temporal.toml (TEMPORAL_PROFILE).
    """
    find_own_modules()
    if processors:
        os.environ["CANOPY_PROCESSORS"] = processors
    if bool(os.environ.get(TOKEN)) if is_remote is None else is_remote:
        for name in (URL, TOKEN):
            if not os.environ.get(name):
                raise Refused(f"{name} is not set. A worker elsewhere needs the dashboard's address and a token.")
        if not queue:
            raise Refused("Name the task queues of this worker with --queue.")
        from dashboard.cli.remote_worker import serve_remotely

        serve_remotely(os.environ[URL], os.environ[TOKEN].strip(), queue, grace)
    else:
        if find_spec("django") is None:
            raise Refused(
                f"{TOKEN} is not set. A worker elsewhere needs it; one next to the dashboard's database needs Django,"
                f" which is not installed. Run: {how_to_install('dashboard')}"
            )
        require_migrated()
        call("worker", queue=queue or None, **({} if grace is None else {"grace": grace}))
