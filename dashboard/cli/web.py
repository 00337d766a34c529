"""canopy web: the web process."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.cli.django_setup import find_own_modules, refusing, require_migrated
from dashboard.cli.examples import examples
from dashboard.cli.refusal import Refused

if TYPE_CHECKING:
    import uvicorn

APPLICATION = "dashboard.asgi:application"

CANNOT_START = 3
"""Exit status, as uvicorn has it."""

EXAMPLES = examples(
    ("on this machine alone, or behind a proxy on it", "canopy web"),
    ("on all addresses, IPv6 among them", "canopy web --host :: --port 8000"),
    ("on a machine with four cores", "REDIS_URL=redis://redis.internal canopy web --host 0.0.0.0 --workers 4"),
)

Host = Annotated[str, typer.Option(envvar="HOST", help="Address to listen on.", metavar="ADDRESS")]
Port = Annotated[
    int, typer.Option(envvar="PORT", min=0, max=65535, help="Port to listen on; 0: any that is free.", metavar="PORT")
]
Workers = Annotated[
    int, typer.Option(min=1, metavar="NUMBER", help="Processes that share the port. More than one need REDIS_URL.")
]
Grace = Annotated[
    int | None,
    typer.Option(
        envvar="CANOPY_GRACE_SECONDS",
        min=0,
        metavar="SECONDS",
        help="How long requests and downloads may go on after SIGTERM. Default: 10.",
        show_default=False,
    ),
]


def web(host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1, grace: Grace = None) -> None:
    """Run a web process: pages, API, websockets and live updates.

    Needs a migrated database (`canopy migrate`) and, for batches to move, a worker (`canopy worker`) and Temporal
    (TEMPORAL_ADDRESS). Several web processes, also on several machines, share a database (DATABASE_URL), Redis
    (REDIS_URL) and a secret key (CANOPY_SECRET_KEY). Static files are collected if they have changed. Behind a proxy,
    set CANOPY_URL to the address that browsers use.
    """
    os.environ |= {"HOST": host, "PORT": str(port)}  # the settings read them
    if grace is not None:
        os.environ["CANOPY_GRACE_SECONDS"] = str(grace)
    find_own_modules()
    require_migrated()
    import uvicorn
    from django.conf import settings

    from dashboard.server.static_files import collect_static

    if workers > 1 and not settings.REDIS_URL:
        raise Refused("More than one web process needs Redis for live updates: set REDIS_URL, or --workers 1.")
    with refusing():
        collect_static()
    options: dict[str, Any] = {"host": host, "port": port, "proxy_headers": False, "log_level": "warning"}
    options["log_config"] = None  # its lines are like all others
    if workers > 1:
        from dashboard.server.web_processes import serve

        if status := serve(APPLICATION, workers=workers, **options):
            raise typer.Exit(status)
    elif host == "::":
        _serve_both_families(uvicorn.Config(APPLICATION, **options))
    else:
        uvicorn.run(APPLICATION, **options)


def _serve_both_families(config: uvicorn.Config) -> None:
    """Serve IPv6 and IPv4: asyncio has a socket of all addresses take IPv6 alone."""
    from uvicorn import Server

    server = Server(config)
    with suppress(KeyboardInterrupt):
        server.run([config.bind_socket()])
    if not server.started:
        raise typer.Exit(CANNOT_START)
