"""Websocket routes."""

from __future__ import annotations

from django.urls import path

from dashboard.live.consumers import BatchConsumer, BatchListConsumer

websocket_urlpatterns = [
    path("ws/batches/", BatchListConsumer.as_asgi()),
    path("ws/batches/<str:batch_id>/", BatchConsumer.as_asgi()),
]
