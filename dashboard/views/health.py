"""GET /healthz: whether database, Temporal and worker answer."""

from __future__ import annotations

import logging
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_not_required
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.temporal import gateway
from orchestration.client.reader import WorkerState

log = logging.getLogger(__name__)

WORKER_ERRORS = {
    WorkerState.WORKS: "",
    WorkerState.FROZEN: "The worker is not answering: its process lives, but does nothing.",
    WorkerState.LOST: "The worker is not answering: it sends no heartbeats.",
    WorkerState.NONE: "No worker found.",
}


@require_safe
@never_cache
@login_not_required
def health(request: HttpRequest) -> JsonResponse:
    """Return the state of each part; 503 if one of them is unavailable."""
    temporal = async_to_sync(gateway().health)()
    parts: dict[str, dict[str, Any]] = {
        "database": _database(),
        "temporal": {"ok": temporal.reachable, "error": temporal.error},
        "worker": {
            "ok": temporal.has_worker,
            "heartbeat_age": temporal.worker_heartbeat_age,
            "error": WORKER_ERRORS[temporal.worker] if temporal.reachable else "",
        },
    }
    is_ok = all(part["ok"] for part in parts.values())
    return JsonResponse({"status": "ok" if is_ok else "unavailable"} | parts, status=200 if is_ok else 503)


def _database() -> dict[str, Any]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        log.exception("Can't reach the database.")  # the reason names hosts, and this page needs no login
        return {"ok": False, "error": "Can't reach the database."}
    return {"ok": True, "error": ""}
