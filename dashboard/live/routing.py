"""Websocket routes."""

from __future__ import annotations

from django.urls import path

from dashboard.live.consumers import BatchConsumer, BatchListConsumer
from dashboard.server.sockets import BATCH, BATCHES

websocket_urlpatterns = [
    path(BATCHES, BatchListConsumer.as_asgi()),
    path(BATCH, BatchConsumer.as_asgi()),
]
