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
        "Run every item on its own and wait for all: the plain case, when items do not depend on each other.",
        ("A1", "A5", "A6", "A14"),
        ONE,
        {"chunk_size": 1, "window": 50},
        parameters=FLAKY,
    ),
    Preset(
        "chunks",
        "Chunks of a slice",
        "Give each child a slice of the items by offset and length: many quick items, little overhead for each.",
        ("A2", "B3"),
        ONE,
        {"chunk_size": 50, "window": 20, "item_concurrency": 10},
        parameters={"seconds_from": 0.05, "seconds_to": 0.4, "fail_percent": 1},
        count=1_000,
    ),
    Preset(
        "sliding-window",
        "Sliding window",
        "Keep n children open at any time, and change n while it runs: when the other side can only take so much.",
        ("A4", "C7"),
        ONE,
        {"chunk_size": 1, "window": 5},
        parameters=STEADY,
    ),
    Preset(
        "groups",
        "Groups with a pause",
        "Run a group, wait until all of it has closed, rest, and go on: for quotas by the minute, and roll-outs.",
        ("A3",),
        ONE,
        {"chunk_size": 1, "window": 50, "group_size": 10, "group_delay": 3},
        parameters=STEADY,
    ),
    Preset(
        "report",
        "With a report at the end",
        "Write a summary that can be downloaded once the last child has closed: when somebody has to account for it.",
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
        "Above a share of failures undo what had completed: when half a change is worse than none.",
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
        "After failures in a row stop, cool down and probe: when the other side may be down, and comes back.",
        ("A9",),
        FAILING,
        {"chunk_size": 1, "window": 3, "item_attempts": 1, "breaker_failures": 3, "breaker_cooldown": 5},
        parameters={"seconds_from": 0.3, "seconds_to": 0.8, "fail_percent": 60},
    ),
    Preset(
        "hold",
        "Hold for the operator",
        "Stay open when children have failed, until somebody retries, skips or finishes: when a person must decide.",
        ("A10",),
        FAILING,
        {"chunk_size": 1, "item_attempts": 1, "hold_at_end": True, "hold_timeout": 3_600},
        parameters=FLAKY,
    ),
    Preset(
        "approval",
        "Approval gate",
        "Start nothing until a person approves, or end when they refuse or the time is up: for what needs four eyes.",
        ("C6",),
        ONE,
        {"chunk_size": 1, "approval": True, "approval_timeout": 3_600},
        parameters=STEADY,
    ),
    Preset(
        "child-options",
        "Timeouts and runs of a child",
        "Give children timeouts and further runs of their own: when an item may hang, or a worker may be lost.",
        ("A11",),
        RUNNING,
        {"chunk_size": 1, "child_run_timeout": 5, "child_attempts": 2, "child_backoff": 1},
        parameters={"seconds_from": 0.5, "seconds_to": 3, "fail_percent": 10},
        count=20,
    ),
    Preset(
        "fire-and-forget",
        "Fire and forget",
        "Start children and let go of them: when nobody waits for the parent, and children may outlive it.",
        ("A11",),
        RUNNING,
        {"chunk_size": 1, "fire_and_forget": True, "parent_close": "abandon"},
        parameters=STEADY,
        count=20,
    ),
    Preset(
        "resources",
        "One at a time per resource",
        "Never touch a host or an account twice at once, in whichever batch: the second waits for the first.",
        ("A12",),
        RUNNING,
        {"chunk_size": 1, "resource_field": "host"},
        parameters={"seconds_from": 5, "seconds_to": 10},
        items=HOSTS,
    ),
    Preset(
        "item-activities",
        "An activity per item",
        "Let Temporal time out and retry every item by itself: when items differ, and the history must show each.",
        ("B4",),
        RUNNING,
        {"chunk_size": 10, "execution": "activities", "item_attempts": 3, "item_backoff": 0.5},
        parameters={"seconds_from": 0.2, "seconds_to": 1, "fail_first_attempts": 1},
        count=100,
    ),
    Preset(
        "no-children",
        "Without children",
        "Run a few chunks as activities of the parent: a small fan-out that needs no workflow for each.",
        ("B4",),
        RUNNING,
        {"chunk_size": 5, "execution": "no_children"},
        parameters=FLAKY,
    ),
    Preset(
        "long-items",
        "Items that last",
        "Watch items that take minutes: each says how far it is, and stops within seconds when it is canceled.",
        ("D2",),
        RUNNING,
        {"chunk_size": 1, "window": 4},
        parameters={"seconds_from": 10, "seconds_to": 20},
        count=8,
    ),
    Preset(
        "worker-pool",
        "Worker pool",
        "Hand chunks to a few workers that stay, and pause one without the others: when workers are dear to start.",
        ("C4",),
        RUNNING,
        {"chunk_size": 2, "execution": "pool", "window": 4},
        parameters=FLAKY,
    ),
    Preset(
        "entities",
        "Operations on entities",
        "Do operations on an account or a device one after another, in order, whichever batch they come from.",
        ("C5",),
        RUNNING,
        {"chunk_size": 1, "execution": "entities", "entity_field": "account"},
        parameters={"seconds_from": 0.5, "seconds_to": 1.5},
        items="account,amount\nada,10\nbob,20\nada,-5\nada,7\nbob,1\ncleo,3\n",
    ),
    Preset(
        "partitions",
        "Tree of partitions",
        "Put parents between the root and thousands of children: more than one parent's history can hold.",
        ("B1",),
        MANY,
        {"chunk_size": 1, "window": 100},
        parameters={"seconds_from": 0, "seconds_to": 0.1, "fail_percent": 0.5},
        count=2_000,
    ),
    Preset(
        "iterator",
        "Read while it runs",
        "Read the input page by page while children run: a file too long to be checked and written down first.",
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
