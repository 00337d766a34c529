"""The `canopy` command: its commands, and what it says where one cannot do its work.

A command is a function in a file of its own and a line here. The file imports at its top only what a machine without
Django has, and the rest within the function, after `with_django()`.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from dashboard.cli import (
    backup,
    builds,
    check,
    docs,
    manage,
    migrate,
    probe,
    prune,
    restore,
    run,
    static,
    token,
    user,
    web,
    worker,
)
from dashboard.cli.refusal import Refused
from dashboard.cli.version import print_version

app = typer.Typer(
    name="canopy",
    help="Launch fan-out batches on Temporal, watch them live, and retry what failed.",
    epilog=run.FIRST_STEPS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    rich_markup_mode=None,  # plain text, which keeps the line breaks of examples
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
app.command("run", epilog=run.EXAMPLES)(run.run)
app.command("web", epilog=web.EXAMPLES)(web.web)
app.command("worker", epilog=worker.EXAMPLES)(worker.worker)
app.command("static", epilog=static.EXAMPLES)(static.static)
app.command("check", epilog=check.EXAMPLES)(check.check)
app.command("migrate", epilog=migrate.EXAMPLES)(migrate.migrate)
app.command("docs", epilog=docs.EXAMPLES)(docs.docs)
app.command("probe", epilog=probe.EXAMPLES)(probe.probe)
app.command("manage", epilog=manage.EXAMPLES, context_settings=manage.PASSED_ON)(manage.manage)
app.command("builds", epilog=builds.EXAMPLES)(builds.builds)
app.command("backup", epilog=backup.EXAMPLES)(backup.backup)
app.command("restore", epilog=restore.EXAMPLES)(restore.restore)
app.add_typer(user.app, name="user")
app.command("prune", epilog=prune.EXAMPLES)(prune.prune)
app.add_typer(token.app, name="token")


@app.callback()
def canopy(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options of all commands."""


def main() -> None:
    """Run the command line and end the process: with 2 where an argument, a setting or a package is wrong."""
    try:
        app(prog_name="canopy")
    except Refused as refusal:
        sys.stderr.write(f"canopy: {refusal}\n")
        sys.exit(refusal.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
