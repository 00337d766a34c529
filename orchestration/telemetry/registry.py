"""The metrics of this process, in one registry, as Prometheus reads them."""

from __future__ import annotations

import platform
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from orchestration.extras import DISTRIBUTION
from orchestration.telemetry import sdk_metrics

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Buckets in seconds of what somebody waits for."""

WORK = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300, 1800)
"""Buckets in seconds of work on items, which may take no time or half an hour."""

REGISTRY = CollectorRegistry(auto_describe=True)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody needs
ProcessCollector(registry=REGISTRY)

build = Gauge(
    "canopy_build_info",
    "Always 1; the labels say what runs.",
    ["version", "python", "temporalio"],
    registry=REGISTRY,
)
threads = Gauge("canopy_threads", "Threads of the process.", registry=REGISTRY)


def _version_of(package: str) -> str:
    """Return the version of a package that is installed, or of Canopy's in its checkout."""
    try:
        return version(package)
    except PackageNotFoundError:
        pass
    try:
        return str(tomllib.loads(PROJECT.read_text())["project"]["version"])
    except (OSError, KeyError):
        return "unknown"


def _thread_count() -> float:
    """Return the number of threads that the kernel knows, the SDK's included (Linux; elsewhere 0)."""
    try:
        return float(sum(1 for _ in Path("/proc/self/task").iterdir()))
    except OSError:
        return 0.0


build.labels(_version_of(DISTRIBUTION), platform.python_version(), _version_of("temporalio")).set(1)
threads.set_function(_thread_count)


def metrics_text() -> bytes:
    """Return all metrics of this process in Prometheus' text format, those of Temporal's SDK included.

    Takes half a second at most, and some milliseconds as a rule. Not for the event loop.
    """
    return generate_latest(REGISTRY) + sdk_metrics.text()
