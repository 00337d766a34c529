"""canopy web: the web process."""

from __future__ import annotations

from typing import Annotated

import typer

from dashboard.cli.django_setup import find_own_modules, with_django
from dashboard.cli.examples import examples

EXAMPLES = examples(
    ("on loopback, behind a proxy on this machine", "canopy web"),
    ("on all addresses, IPv6 among them", "canopy web --host :: --port 8000"),
)


def web(
    host: Annotated[str, typer.Option(envvar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Run a web process: pages, API, websockets and live updates.

    Several of them share a database, Redis (REDIS_URL) and a secret key (CANOPY_SECRET_KEY).
    """
    find_own_modules()
    with_django()
    import uvicorn

    uvicorn.run(
        "dashboard.asgi:application",
        host=host,
        port=port,
        proxy_headers=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )
