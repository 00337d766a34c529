"""Presets: fan-out patterns as named starting points for the launch form and the API.

A preset is a processor, parameters, a plan and example items; docs/patterns.md describes each pattern.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class UnknownPreset(LookupError):
    """There is no preset of that name."""


@dataclass(frozen=True)
class Preset:
    """One pattern: its ids in docs/patterns.md, when to use it in one sentence, and the values that it fills in."""

    name: str
    title: str
    when: str
    patterns: Sequence[str]
    group: str
    plan: Mapping[str, Any]
    processor: str = "simulate"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    count: int = 40
    items: str = ""


ONE, MANY, FAILING, RUNNING = "Start here", "Scale", "When things fail", "How children run"
FLAKY = {"seconds_from": 0.2, "seconds_to": 1.5, "fail_percent": 15}
STEADY = {"seconds_from": 0.2, "seconds_to": 1.5}
HOSTS = "host\nweb-1\nweb-2\nweb-3\ndb-1\ndb-2\n"

PRESETS = (
    Preset(
        "fan-out",
        "Fan-out, fan-in",
        "Run every item on its own and wait for all of them: the basic case, for independent items.",
        ("A1", "A5", "A6", "A14"),
        ONE,
        {"chunk_size": 1, "window": 50},
        parameters=FLAKY,
    ),
    Preset(
        "chunks",
        "Chunked",
        "Give each child a slice of the items by offset and length: for many quick items, with little overhead for "
        "each.",
        ("A2", "B3"),
        ONE,
        {"chunk_size": 50, "window": 20, "item_concurrency": 10},
        parameters={"seconds_from": 0.05, "seconds_to": 0.4, "fail_percent": 1},
        count=1_000,
    ),
    Preset(
        "sliding-window",
        "Sliding window",
        "Keep n children running, and change n at any time: when the target system can only take so much load.",
        ("A4", "C7"),
        ONE,
        {"chunk_size": 1, "window": 5},
        parameters=STEADY,
    ),
    Preset(
        "groups",
        "Groups with a pause",
        "Run a group, wait until all of it has finished, pause, and start the next: for per-minute quotas and "
        "rollouts.",
        ("A3",),
        ONE,
        {"chunk_size": 1, "window": 50, "group_size": 10, "group_delay": 3},
        parameters=STEADY,
    ),
    Preset(
        "report",
        "With a final report",
        "Write a summary for download once the last child has finished: when the outcome has to be documented.",
        ("A13",),
        ONE,
        {"chunk_size": 1, "summarise": True},
        parameters=FLAKY,
    ),
    Preset(
        "fail-fast",
        "Fail fast",
        "Stop everything at the first failure: when one failed item makes the rest pointless.",
        ("A8",),
        FAILING,
        {"chunk_size": 1, "window": 10, "failure_policy": "fail_fast"},
        parameters={"seconds_from": 0.5, "seconds_to": 2, "fail_percent": 5},
    ),
    Preset(
        "roll-back",
        "Threshold and rollback",
        "Above a failure rate, undo completed children: when half a change is worse than none.",
        ("A7",),
        FAILING,
        {
            "chunk_size": 1,
            "window": 10,
            "item_attempts": 1,
            "failure_policy": "tolerate",
            "tolerated_percent": 10,
            "on_threshold": "roll_back",
        },
        parameters={"seconds_from": 0.5, "seconds_to": 1.5, "fail_percent": 25, "undo_fail_percent": 5},
    ),
    Preset(
        "circuit-breaker",
        "Circuit breaker",
        "After consecutive failures stop, cool down and probe: when the target system may go down and recover.",
        ("A9",),
        FAILING,
        {"chunk_size": 1, "window": 3, "item_attempts": 1, "breaker_failures": 3, "breaker_cooldown": 5},
        parameters={"seconds_from": 0.3, "seconds_to": 0.8, "fail_percent": 60},
    ),
    Preset(
        "hold",
        "Hold for an operator",
        "When children have failed, stay open until an operator retries, skips or finishes: when a person must decide.",
        ("A10",),
        FAILING,
        {"chunk_size": 1, "item_attempts": 1, "hold_at_end": True, "hold_timeout": 3_600},
        parameters=FLAKY,
    ),
    Preset(
        "approval",
        "Approval gate",
        "Start nothing until a person approves, and end on rejection or timeout: requires a second approver.",
        ("C6",),
        ONE,
        {"chunk_size": 1, "approval": True, "approval_timeout": 3_600},
        parameters=STEADY,
    ),
    Preset(
        "child-options",
        "Child timeouts and retries",
        "Give children timeouts and retries of their own: when an item may hang, or a worker may be lost.",
        ("A11",),
        RUNNING,
        {"chunk_size": 1, "child_run_timeout": 5, "child_attempts": 2, "child_backoff": 1},
        parameters={"seconds_from": 0.5, "seconds_to": 3, "fail_percent": 10},
        count=20,
    ),
    Preset(
        "fire-and-forget",
        "Fire and forget",
        "Start children without waiting: when nobody waits for the parent, and children may outlive it.",
        ("A11",),
        RUNNING,
        {"chunk_size": 1, "fire_and_forget": True, "parent_close": "abandon"},
        parameters=STEADY,
        count=20,
    ),
    Preset(
        "resources",
        "One at a time per resource",
        "Never access a host or an account concurrently, not even from different batches: the second child waits for "
        "the first.",
        ("A12",),
        RUNNING,
        {"chunk_size": 1, "resource_field": "host"},
        parameters={"seconds_from": 5, "seconds_to": 10},
        items=HOSTS,
    ),
    Preset(
        "item-activities",
        "An activity per item",
        "Let Temporal time out and retry each item separately: when items differ, and the history must show each of "
        "them.",
        ("B4",),
        RUNNING,
        {"chunk_size": 10, "execution": "activities", "item_attempts": 3, "item_backoff": 0.5},
        parameters={"seconds_from": 0.2, "seconds_to": 1, "fail_first_attempts": 1},
        count=100,
    ),
    Preset(
        "no-children",
        "Without children",
        "Run a few chunks as activities of the parent: for a small fan-out that needs no workflow per chunk.",
        ("B4",),
        RUNNING,
        {"chunk_size": 5, "execution": "no_children"},
        parameters=FLAKY,
    ),
    Preset(
        "long-items",
        "Long-running items",
        "Monitor items that take minutes: each reports its progress and stops within seconds when canceled.",
        ("D2",),
        RUNNING,
        {"chunk_size": 1, "window": 4},
        parameters={"seconds_from": 10, "seconds_to": 20},
        count=8,
    ),
    Preset(
        "worker-pool",
        "Worker pool",
        "Distribute chunks to a few long-lived workers and pause them individually: when workers are expensive to "
        "start.",
        ("C4",),
        RUNNING,
        {"chunk_size": 2, "execution": "pool", "window": 4},
        parameters=FLAKY,
    ),
    Preset(
        "entities",
        "Operations on entities",
        "Run operations on an account or a device one after another, in order, whichever batch they come from.",
        ("C5",),
        RUNNING,
        {"chunk_size": 1, "execution": "entities", "entity_field": "account"},
        parameters={"seconds_from": 0.5, "seconds_to": 1.5},
        items="account,amount\nada,10\nbob,20\nada,-5\nada,7\nbob,1\ncleo,3\n",
    ),
    Preset(
        "partitions",
        "Tree of partitions",
        "Put parents between the root and thousands of children: for more children than one parent's history can hold.",
        ("B1",),
        MANY,
        {"chunk_size": 1, "window": 100},
        parameters={"seconds_from": 0, "seconds_to": 0.1, "fail_percent": 0.5},
        count=2_000,
    ),
    Preset(
        "iterator",
        "Read while it runs",
        "Read the input page by page while children run: for a file too long to check and store in advance.",
        ("B2",),
        MANY,
        {"chunk_size": 20, "window": 20, "paged": True, "page_children": 25},
        parameters={"seconds_from": 0, "seconds_to": 0.05, "fail_percent": 0.2},
        count=5_000,
    ),
)


def get_preset(name: str) -> Preset:
    """Return a preset. Raises UnknownPreset."""
    for preset in PRESETS:
        if preset.name == name:
            return preset
    raise UnknownPreset(name)


def by_group() -> dict[str, list[Preset]]:
    """Return the presets in the order of the launch page."""
    found: dict[str, list[Preset]] = {ONE: [], FAILING: [], RUNNING: [], MANY: []}
    for preset in PRESETS:
        found[preset.group].append(preset)
    return found
