"""canopy builds: which builds of workers there are, and what still runs on each."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from dashboard.cli.examples import examples
from dashboard.cli.refusal import Refused

EXAMPLES = examples(
    ("which builds still run something", "canopy builds"),
    ("send new batches to the build that is installed here", "canopy builds --make-current this"),
)


def builds(
    make_current: Annotated[
        str, typer.Option(metavar="BUILD", help="Send new batches to this build; `this` is the one installed here.")
    ] = "",
) -> None:
    """List builds of workers, and what still runs on each.

    Prints id, status and open workflows of each build of CANOPY_WORKER_DEPLOYMENT.
    Workers of a drained build can be stopped: no workflow needs them any more.
    """
    from orchestration.client.builds import Build, list_builds
    from orchestration.client.builds import make_current as make_build_current
    from orchestration.temporal.connection import TemporalUnavailable, connect
    from orchestration.temporal.deployment import DEPLOYMENT, deployment_of_environment
    from orchestration.temporal.profile import connection_of_environment

    own = deployment_of_environment()
    if own is None:
        raise Refused(f"{DEPLOYMENT} is not set: workers have no builds, and all of them take all work.")
    name, mine = own.version.deployment_name, own.version.build_id

    async def look() -> list[Build]:
        client = await connect(connection_of_environment())
        if make_current:
            await make_build_current(client, name, mine if make_current == "this" else make_current)
        return await list_builds(client, name)

    try:
        found = asyncio.run(look())
    except (LookupError, TemporalUnavailable, OSError, RuntimeError) as error:
        raise Refused(str(error), exit_status=1) from None
    for build in found:
        here = " (installed here)" if build.id == mine else ""
        typer.echo(f"{build.id}\t{build.status}\t{build.open_workflows:,} open workflows{here}")
    if not found:
        typer.echo(f"Temporal has no deployment {name} yet: start a worker.")
