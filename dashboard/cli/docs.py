"""canopy docs: the documentation, for when the dashboard that serves it is what does not work."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated

import typer

from dashboard import resources
from dashboard.cli.examples import examples
from dashboard.cli.refusal import Refused

EXAMPLES = examples(
    ("read it in a browser on this machine, until Ctrl-C", "canopy docs"),
    ("read it on another machine", "ssh -L 8001:127.0.0.1:8001 canopy-host canopy docs"),
    ("where the files are", "canopy docs --path"),
)


def docs(
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on 127.0.0.1; 0: any that is free.")
    ] = 8001,
    path: Annotated[bool, typer.Option("--path", help="Print the folder of the pages and exit.")] = False,
) -> None:
    """Serve this documentation and the runbooks on this machine.

    It needs neither database nor Temporal nor a login, so that it is there when they are not.
    """
    site = resources.SITE
    if not (site / "index.html").is_file():
        raise Refused(f"There is no built documentation in {site}: `make docs` builds it in a checkout.")
    if path:
        typer.echo(site)
        return
    with ThreadingHTTPServer(("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=str(site))) as server:
        typer.echo(f"The documentation is at http://127.0.0.1:{server.server_port}/ - Ctrl-C ends it.")
        server.serve_forever()
