"""Example texts that a new definition can start from, one per kind, each with a sentence on when to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext_lazy

from dashboard.i18n.formatting import StrOrPromise


@dataclass(frozen=True)
class Example:
    """A text to start from. `icon` is a heroicon."""

    kind: str
    title: StrOrPromise
    when: StrOrPromise
    icon: str
    text: str


_PIPELINE = """\
# Each stage is a fan-out over the items that the stage before let through.
kind: pipeline
stages:
  - name: validate
    processor: simulate
    parameters: {seconds_from: 0.01, seconds_to: 0.05, fail_percent: 10}
    plan: {chunk_size: 50, item_attempts: 1}
  - name: process
    processor: simulate
    parameters: {seconds_from: 0.2, seconds_to: 0.5}
    plan: {chunk_size: 10, window: 20}
"""

_SERVICES = """\
# All at the same time, each within its own time limit; results are combined by name.
kind: services
services:
  - name: inventory
    processor: simulate
    parameters: {seconds_from: 0.2, seconds_to: 0.5}
    input: {order: A-1001}
    timeout: 30
  - name: shipping
    processor: simulate
    parameters: {seconds_from: 0.5, seconds_to: 1}
    input: {order: A-1001}
    timeout: 60
"""

_SAGA = """\
# When a step fails, the compensations of the steps before it run in reverse.
kind: saga
steps:
  - name: reserve
    processor: simulate
    input: {order: A-1001}
    compensation:
      processor: simulate
      input: {release: {ref: reserve.seconds}}
  - name: charge
    processor: simulate
    parameters: {fail_percent: 20}
    input: {order: A-1001}
    compensation:
      processor: simulate
      input: {refund: A-1001}
  - name: ship
    processor: simulate
    parameters: {fail_percent: 10}
    input: {order: A-1001}
"""

_POOL = """\
# Workers that stay, and get the batch's items one by one.
kind: pool
workers: 4
processor: simulate
parameters: {seconds_from: 0.5, seconds_to: 2}
"""

_ENTITY = """\
# One workflow for each account; its operations run one after another, in order.
kind: entity
key: account          # the field of an item that names its entity
continue_after: 100   # operations until it goes on in a new run
processor: simulate
parameters: {seconds_from: 0.1, seconds_to: 0.3}
"""

_STEPS = """\
# Steps in order. A reference (ref) names a field of an earlier step's result.
kind: steps
steps:
  - name: probe
    run:
      processor: simulate
      input: {what: the stock}
  - name: check
    if: {ref: probe.seconds, op: "<", value: 10}
    then:
      - name: lookups
        parallel:
          - name: prices
            run: {processor: simulate, input: {after: {ref: probe.seconds}}}
          - name: stock
            run: {processor: simulate}
    else:
      - name: wait
        sleep: 30
  - name: each
    fan_out:
      processor: simulate
      parameters: {seconds_from: 0.2, seconds_to: 1}
      items: [Bonn, Ulm, {city: Kiel, size: 3}]  # or batch, or {ref: step.field}
      plan: {item_attempts: 2}
  - name: settle
    loop:
      until: {ref: measure.attempt, op: ">=", value: 1}
      max: 5
      steps:
        - name: measure
          run: {processor: simulate}
  - name: release
    approval: {title: Release it now?, timeout: 3600, on_timeout: refuse}
    refused:
      - name: tell
        run: {processor: simulate, input: {message: refused}}
  - name: act
    run: {processor: simulate}
"""

_ALL = (
    Example(
        "pipeline",
        gettext_lazy("Pipeline"),
        gettext_lazy("When items pass through several stages, and an item that a stage drops must not reach the next."),
        "funnel",
        _PIPELINE,
    ),
    Example(
        "services",
        gettext_lazy("Services"),
        gettext_lazy("When one result is combined from several independent services."),
        "server-stack",
        _SERVICES,
    ),
    Example(
        "saga",
        gettext_lazy("Saga"),
        gettext_lazy("When completed steps must be undone if a later one fails."),
        "arrow-uturn-left",
        _SAGA,
    ),
    Example(
        "pool",
        gettext_lazy("Worker pool"),
        gettext_lazy("When workers are expensive to start or must be paused one by one, and there are many items."),
        "user-group",
        _POOL,
    ),
    Example(
        "entity",
        gettext_lazy("Entity"),
        gettext_lazy("When operations on one account or device must never overlap and must keep their order."),
        "identification",
        _ENTITY,
    ),
    Example(
        "steps",
        gettext_lazy("Steps"),
        gettext_lazy("When the flow has branches, loops or manual approvals."),
        "list-bullet",
        _STEPS,
    ),
)

EXAMPLES: Mapping[str, Example] = {example.kind: example for example in _ALL}
