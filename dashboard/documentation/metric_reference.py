"""docs/deployment/metrics.md: the table of all metrics, made from the registry that exports them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

from dashboard.health import gauges
from dashboard.metrics import definitions
from orchestration.telemetry import checks, registry, worker_metrics

SECTIONS = {
    "Of web processes": (definitions, gauges),
    "Of worker processes": (worker_metrics,),
    "Of both": (checks, registry),
}
"""Modules that define metrics, by the title of their table."""

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
"""Of the names under which a family's values are exported."""

OF_PYTHON = "process_"
"""Begins the names of what prometheus_client tells of every process."""


@dataclass(frozen=True)
class Family:
    """A metric as it is documented; `name` is the one to query."""

    name: str
    kind: str
    labels: tuple[str, ...]
    about: str


def families(title: str) -> list[Family]:
    """Return the metrics of a section, by name."""
    found = [each for module in SECTIONS[title] for each in _defined_in(vars(module).values())]
    return sorted({each.name: each for each in found}.values(), key=lambda each: each.name)


def sample_names() -> set[str]:
    """Return all names under which values are exported, those of prometheus_client included."""
    of_python = {metric.name for metric in registry.REGISTRY.collect() if metric.name.startswith(OF_PYTHON)}
    ours = [(each.name.removesuffix("_total"), each.kind) for title in SECTIONS for each in families(title)]
    every = [*ours, *((name, "counter" if name.endswith("cpu_seconds") else "gauge") for name in of_python)]
    return {name + suffix for name, kind in every for suffix in SUFFIXES.get(kind, ("",))}


def markdown() -> str:
    """Return the tables."""
    parts = list[str]()
    for title in SECTIONS:
        rows = [
            f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.about} |"
            for each in families(title)
        ]
        parts.append(
            f"### {title}\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n" + "\n".join(rows)
        )
    return "\n\n".join(parts)


def _defined_in(values: Iterable[object]) -> Iterator[Family]:
    registered = {id(each): each for each in registry.REGISTRY._collector_to_names}
    for value in values:
        if (collector := registered.get(id(value))) is not None:
            for metric in collector.collect():
                yield _family(metric, getattr(collector, "_labelnames", None))


def _family(metric: Metric, labels: tuple[str, ...] | None) -> Family:
    """Return a family. What a collector makes knows its labels itself."""
    names = tuple(labels if labels is not None else getattr(metric, "_labelnames", ()))
    name = metric.name + ("_total" if metric.type == "counter" else "")
    return Family(name, metric.type, names, metric.documentation)
