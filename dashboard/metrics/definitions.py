"""The metrics of processes with the dashboard's database: the web, and in part the workers beside it.

Labels have few values: names of routes, statuses, kinds. Nothing that people write is one.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from orchestration.telemetry.registry import LATENCY, REGISTRY

PROPAGATION = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Buckets in seconds of how late something arrives: minutes while a neighbour is away."""

requests = Counter(
    "canopy_http_requests",
    "Requests that were answered, refusals included; `route` is the name of the address.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
request_seconds = Histogram(
    "canopy_http_request_seconds",
    "Seconds from a request's headers to the end of its answer.",
    ["route", "method"],
    buckets=LATENCY,
    registry=REGISTRY,
)
requests_in_flight = Gauge("canopy_http_requests_in_flight", "Requests that are being answered.", registry=REGISTRY)
websockets = Gauge("canopy_websockets", "Open websockets of pages.", ["kind"], registry=REGISTRY)
websocket_messages = Counter(
    "canopy_websocket_messages", "Messages that were sent to pages.", ["kind"], registry=REGISTRY
)
websocket_lag = Histogram(
    "canopy_websocket_lag_seconds",
    "Seconds from a change of a batch (its newest revision) until it was sent to a page that shows it.",
    buckets=PROPAGATION,
    registry=REGISTRY,
)
notify_lag = Histogram(
    "canopy_notify_lag_seconds",
    "Seconds from a tree event in a workflow until its row was written, of the oldest event of each notify.",
    buckets=PROPAGATION,
    registry=REGISTRY,
)
projection_pending = Gauge(
    "canopy_projection_pending", "Tree events that have arrived here and are not written yet.", registry=REGISTRY
)
projection_seconds = Histogram(
    "canopy_projection_seconds",
    "Seconds that one notify's events took to be written, the wait for a thread included.",
    buckets=LATENCY,
    registry=REGISTRY,
)
events_projected = Counter(
    "canopy_events_projected", "Tree events that were written, by kind.", ["kind"], registry=REGISTRY
)
batches_finished = Counter(
    "canopy_batches_finished", "Batches that this process saw end, by status.", ["status"], registry=REGISTRY
)
items_recorded = Counter(
    "canopy_items_recorded",
    "Items whose result was recorded in the database, by outcome.",
    ["outcome"],
    registry=REGISTRY,
)
reconciled_batches = Gauge(
    "canopy_reconciler_batches", "Batches that this process compares with Temporal.", registry=REGISTRY
)
reconciler_looked_at = Gauge(
    "canopy_reconciler_last_look_timestamp_seconds",
    "When this process last looked for batches to compare; 0 where it never has, as one that does not lead.",
    registry=REGISTRY,
)
repairs = Counter(
    "canopy_reconciler_repairs",
    "Runs that no notify had reported: `missed`, `lost` where Temporal knows them no more, or `watched`, of workflows "
    "that Canopy did not launch, of which nobody notifies.",
    ["kind"],
    registry=REGISTRY,
)
leader = Gauge(
    "canopy_leader", "1 in the web process that runs the background loops, else 0.", ["lease"], registry=REGISTRY
)
outages = Counter(
    "canopy_outages",
    "Requests and background work that failed because of a neighbour: database, temporal, away (Redis, a limit of "
    "Temporal), too_slow, no_space.",
    ["kind"],
    registry=REGISTRY,
)
