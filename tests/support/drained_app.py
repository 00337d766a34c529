"""An ASGI application that stops as the dashboard does: `uvicorn tests.support.drained_app:application`.

A request is answered with as many megabytes as its path says, a probe as ever; a websocket is kept open.
"""

from __future__ import annotations

from typing import Any

import django

django.setup(set_prefix=False)

from dashboard.health.probes import answering_probes  # noqa: E402
from dashboard.server.drain import end_if_drained, end_loops, take_signals  # noqa: E402
from dashboard.server.limits.connections import limit_connections  # noqa: E402

PART = b"x" * 1024 * 1024


async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve a connection, or the lifespan."""
    if scope["type"] == "lifespan":
        await receive()
        limit_connections(receive)
        take_signals(receive)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await end_loops([])
        await send({"type": "lifespan.shutdown.complete"})
        end_if_drained()
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(int(scope["path"][1:] or 0)):
            await send({"type": "http.response.body", "body": PART, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


application = answering_probes(serve)
