"""canopy probe: whether a process on this machine lives, for health checks of containers and service managers."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from typing import Annotated

import typer

from dashboard.cli.examples import examples
from dashboard.cli.refusal import Refused

WORKER = "CANOPY_WORKER_HTTP"
WITHIN = 3.0
EXAMPLES = examples(
    ("the process of this container", "canopy probe"),
    ("whether a web process has all that it needs", "canopy probe http://127.0.0.1:8000/readyz"),
)


def own_address() -> str:
    """Return the address at which this container's process says that it lives: a worker's, or else a web's."""
    given = os.environ.get(WORKER) or f"{os.environ.get('HOST') or '127.0.0.1'}:{os.environ.get('PORT') or '8000'}"
    host, _, port = given.rpartition(":")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{port}/livez"


def probe(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help=f"Address to ask. Default: /livez at {WORKER} if that is set, else at HOST and PORT.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Check that a process on this machine responds.

    Exits with 0 if the address answers with success within 3 s, with 1 if not.
    """
    asked = url or own_address()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=WITHIN) as answer:
            typer.echo(f"{asked}: {answer.status}")
    except urllib.error.HTTPError as error:
        raise Refused(
            f"{asked} answers {error.code}: {error.read(300).decode(errors='replace')}", exit_status=1
        ) from None
    except (OSError, ValueError) as error:
        raise Refused(f"{asked}: {error}", exit_status=1) from None
