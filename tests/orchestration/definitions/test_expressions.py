"""What references and conditions come to, and how a definition reads as an outline."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from orchestration.definitions.expressions import Condition, Missing, fill, holds, resolve
from orchestration.definitions.outline import OutlineNode, outline
from tests.support.definition_texts import ok

RESULTS = {"a": {"n": 2, "text": "b", "flag": True, "none": None, "list": [{"x": 1}, 5]}, "r": {"result": 7}, "s": None}


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        ("a.n", 2),
        ("a.result.n", 2),
        ("r.result", 7),
        ("a.list.0.x", 1),
        ("a.list.1", 5),
        ("s", None),
        ("a.none", None),
    ],
)
def test_a_reference_stands_for_a_value(ref: str, value: object) -> None:
    assert resolve(ref, RESULTS) == value
    assert fill({"deep": [{"ref": ref}]}, RESULTS) == {"deep": [value]}


@pytest.mark.parametrize("ref", ["b", "a.m", "a.n.x", "a.list.2", "a.list.-1", "a.list.x", "s.x", "", "a."])
def test_what_is_not_there_is_missing(ref: str) -> None:
    with pytest.raises(Missing):
        resolve(ref, RESULTS)


def test_only_a_mapping_of_ref_alone_is_a_reference() -> None:
    data = {"ref": "a.n", "other": 1}
    assert fill([data, {"ref": 3}], RESULTS) == [data, {"ref": 3}]


@pytest.mark.parametrize(
    ("ref", "op", "value", "expected"),
    [
        ("a.n", "==", 2, True),
        ("a.n", "==", 2.0, True),
        ("a.n", "==", "2", False),
        ("a.flag", "==", 1, False),
        ("a.flag", "==", True, True),
        ("a.none", "==", None, True),
        ("a.n", "!=", 3, True),
        ("a.gone", "==", None, False),
        ("a.gone", "!=", 3, True),
        ("a.gone", "<", 3, False),
        ("a.n", "<", 2, False),
        ("a.n", "<=", 2, True),
        ("a.n", ">", 1.5, True),
        ("a.n", ">=", 3, False),
        ("a.n", ">", "1", False),
        ("a.flag", ">=", 0, False),
        ("a.text", "<", "c", True),
        ("a.list", ">", 1, False),
        ("a.n", "in", [1, 2], True),
        ("a.flag", "in", [1, 2], False),
        ("a.gone", "in", [None], False),
    ],
)
def test_a_condition_compares(ref: str, op: str, value: object, expected: bool) -> None:
    assert holds(condition({"ref": ref, "op": op, "value": value}), RESULTS) is expected


def test_conditions_combine() -> None:
    there, gone = {"ref": "a.n", "op": "exists"}, {"ref": "a.gone", "op": "exists"}
    assert holds(condition(there), RESULTS)
    assert not holds(condition({"ref": "a.none", "op": "exists"}), RESULTS)
    assert not holds(condition({"all": [there, gone]}), RESULTS)
    assert holds(condition({"any": [gone, there]}), RESULTS)
    assert holds(condition({"not": {"any": [gone, {"not": there}]}}), RESULTS)


def condition(data: dict[str, Any]) -> Any:
    """Return a condition made of data."""
    return TypeAdapter[Any](Condition).validate_python(data)


def lines(node: OutlineNode, level: int = 0) -> list[str]:
    """Return an outline as indented lines."""
    own = " ".join(part for part in (node.name, f"[{node.kind}]", node.summary) if part)
    return ["  " * level + own, *(line for child in node.children for line in lines(child, level + 1))]


def test_the_outline_of_steps_shows_branches_and_what_is_referred_to() -> None:
    text = """\
kind: steps
steps:
  - {name: a, run: {processor: simulate, input: {x: 1}}}
  - name: b
    if:
      all:
        - {ref: a.attempt, op: in, value: [1, 2]}
        - any: [{ref: a, op: exists}, {not: {ref: a.data, op: "==", value: null}}]
    then: [{name: c, fan_out: {processor: simulate, items: {ref: a.data}, plan: {chunk_size: 5}}}]
    else: [{name: d, sleep: 7200}]
  - name: e
    loop:
      while: {ref: f.attempt, op: "<", value: 2}
      max: 1
      steps: [{name: f, run: {processor: simulate, input: {y: {ref: a.data}}}}]
  - {name: g, approval: {title: Go?, timeout: 90}, refused: [{name: h, parallel: [{name: i, sleep: 1}]}]}
"""
    assert lines(outline(ok(text))) == [
        "[steps] 4 steps in order",
        "  a [run] simulate with x: 1",
        "  b [if] a.attempt in [1, 2] and (a exists or not a.data == null)",
        "    [branch] then",
        "      c [fan_out] simulate, chunks of 5, window 50, over the list a.data",
        "    [branch] else",
        "      d [sleep] 2 hours",
        "  e [loop] while f.attempt < 2, at most 1 round",
        "    f [run] simulate with y: → a.data",
        "  g [approval] Go?; refused after 90 seconds",
        "    [branch] refused",
        "      h [parallel] 1 step at the same time",
        "        i [sleep] 1 second",
    ]


PIPELINE = """\
kind: pipeline
stages: [{name: a, processor: simulate}, {name: b, processor: pay}]
"""
SERVICES = """\
kind: services
services:
  - {name: a, processor: simulate}
  - {name: b, workflow_type: Own, task_queue: q, timeout: 60}
"""
SAGA = """\
kind: saga
fan_out: true
steps:
  - {name: a, processor: simulate, compensation: {processor: simulate, input: {x: {ref: a.data}}}}
"""
ENTITY_LINE = "one workflow for each value of the field account; each operation: simulate; a new run after 100"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            PIPELINE,
            [
                "[pipeline] 2 stages in order",
                "  a [stage] simulate, chunks of 1, window 50",
                "  b [stage] pay, chunks of 7, window 3",
            ],
        ),
        (
            SERVICES,
            [
                "[services] 2 services at the same time",
                "  a [service] simulate on canopy, at most 5 minutes",
                "  b [service] Own on q, at most 1 minute",
            ],
        ),
        (
            SAGA,
            [
                "[saga] 1 step in order, one saga per item",
                "  a [step] simulate",
                "    [compensation] simulate with x: → a.data",
            ],
        ),
        ("kind: pool\nworkers: 3\nprocessor: simulate", ["[pool] 3 long-lived workers, each item: simulate"]),
        ("kind: entity\nkey: account\nprocessor: simulate", [f"[entity] {ENTITY_LINE}"]),
    ],
)
def test_the_outline_of_each_kind(text: str, expected: list[str]) -> None:
    assert lines(outline(ok(text))) == expected
