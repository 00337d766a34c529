"""References: to what is over on every path, and to fields that are there."""

from __future__ import annotations

import pytest

from orchestration.definitions.models import Saga
from tests.support.definition_texts import STEPS, ok, only, step, wrong


def refer(ref: str) -> str:
    """Return a run that refers to something."""
    return f"run: {{processor: simulate, input: {{x: {{ref: {ref}}}}}}}"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (step(0, refer("s1.x")) + step(1, "sleep: 1"), '"s1" (line 4) is not finished before this'),
        (step(0, refer("s0.x")), '"s0" refers to its own result: a cycle.'),
        (step(0, refer("s1.x")) + step(1, refer("s0.data")), "form a cycle: s0 → s1 → s0."),
        (step(0, refer("ss0.x")), 'There is no step "ss0". Did you mean "s0"?'),
        (step(0, "run: {processor: simulate}") + step(1, refer("s0.sekonds")), 'The result of "s0" has no "sekonds".'),
        (step(0, "sleep: 1") + step(1, refer("s0.x")), '"s0" only waits: it has no result.'),
        (step(0, "run: {processor: simulate}") + step(1, refer("s0..x")), "has an empty part"),
        (
            step(0, "parallel: [{name: a, sleep: 1}, {name: b, " + refer("a.x") + "}]"),
            '"a" (line 3) is not finished on every path that leads here',
        ),
        (step(0, "parallel: [{name: b, " + refer("s0.b") + "}]"), '"s0" (line 3) encloses this step'),
        (
            step(0, "sleep: 1")
            + step(1, "if: {ref: s0, op: exists}, then: [{name: a, run: {processor: simulate}}]")
            + step(2, refer("a.data")),
            '"a" (line 4) is not finished on every path that leads here: it is in another branch.',
        ),
        (
            step(0, "approval: {title: Go}, refused: [{name: a, run: {processor: simulate}}]")
            + step(1, refer("a.data")),
            '"a" (line 3) is not finished on every path',
        ),
        (step(0, "if: {all: [{ref: s9, op: exists}]}, then: [{name: a, sleep: 1}]"), 'There is no step "s9".'),
        (step(0, "fan_out: {processor: simulate, items: {ref: s9.list}}"), 'There is no step "s9".'),
        (
            step(0, "loop: {max: 2, until: {ref: s1.data, op: exists}, steps: [{name: a, sleep: 1}]}")
            + step(1, "run: {processor: simulate}"),
            '"s1" (line 4) is not finished before this',
        ),
    ],
)
def test_a_reference_names_a_step_that_is_over_on_every_path(steps: str, message: str) -> None:
    assert any(message in error for _, _, error in wrong(STEPS + steps)), wrong(STEPS + steps)


def test_references_reach_what_is_over() -> None:
    text = STEPS + "".join(
        [
            step(0, "parallel: [{name: a, run: {processor: simulate}}, {name: b, run: {processor: simulate}}]"),
            step(1, refer("a.seconds")),
            step(2, refer("s0.b.seconds")),
            step(
                3, "loop: {max: 2, until: {ref: c.attempt, op: '>', value: 1}, steps: [{name: c, " + refer("a") + "}]}"
            ),
            step(4, refer("c.result.seconds")),
            step(5, "approval: {title: Go}, refused: [{name: d, " + refer("c.data") + "}]"),
            step(6, refer("s5.approved")),
            step(9, "approval: {title: Go}, refused: [{name: e, " + refer("s9.by") + "}]"),
            step(7, "fan_out: {processor: simulate, items: {ref: c.data}}"),
            step(8, "run: {processor: simulate, input: {x: {ref: s7.failed}, y: {ref: not a reference, z: 1}}}"),
        ]
    )
    assert len(ok(text).steps) == 10


def test_a_saga_refers_to_earlier_steps_and_with_fan_out_to_the_item() -> None:
    text = """\
kind: saga
fan_out: true
steps:
  - name: one
    processor: pay
    compensation: {processor: pay, input: {amount: {ref: one.amount}}}
  - {name: two, processor: pay, input: {amount: {ref: item.amount}}}
"""
    assert isinstance(ok(text), Saga)
    alone = text.replace("true", "false").replace("processor: pay\n", "processor: pay\n    input: {amount: 1}\n")
    assert only(alone) == (8, "steps[1].input.amount.ref", 'There is no step "item".')
    assert "has no" in only(text.replace("one.amount", "one.money"))[2]


def test_services_know_nothing_of_one_another() -> None:
    services = "- {name: a, processor: simulate}\n- {name: b, processor: simulate, input: {x: {ref: a.y}}}"
    text = f"kind: services\nservices:\n{services}"
    assert "runs at the same time" in only(text)[2]
    assert "requires a processor" in only("kind: services\nservices: [{name: a}]")[2]
    assert (
        ok("kind: services\nservices: [{name: a, workflow_type: Own, task_queue: theirs}]").services[0].processor == ""
    )
