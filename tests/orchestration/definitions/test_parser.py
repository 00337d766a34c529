"""Texts of definitions: what is wrong is said with line, column, path and reason, and all of it at once."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, field_validator
from temporalio.contrib.pydantic import pydantic_data_converter

from orchestration.definitions.models import AnyDefinition, Definition, Pipeline, Steps
from orchestration.definitions.parser import parse
from orchestration.definitions.source_tree import DefinitionError, DefinitionErrors, read
from orchestration.definitions.steps import FanOutStep
from orchestration.processors.catalogue import processors
from orchestration.processors.processor import Processor
from tests.support.definition_texts import KNOWN, STEPS, Anything, ok, only, pay, signature, step, wrong

AT_ONCE = 5
"""Seconds of processor time, which a busy machine does not add to: what is refused late takes minutes."""


def test_all_that_is_wrong_is_found_at_once_with_its_line() -> None:
    text = """\
kind: steps
colour: red
steps:
  - name: first
    run: {processor: simulat, input: {x: {ref: nowhere.y}}}
  - name: first
    run:
      processor: simulate
      parameters:
        seed: many
        sede: 1
  - name: third
    sleeep: 5
  - name: fourth
    fan_out: {processor: simulate, plan: {window: 0}, items: some}
"""
    assert wrong(text) == [
        (2, "colour", 'Unknown key "colour".'),
        (5, "steps[0].run.processor", 'There is no processor "simulat". Did you mean "simulate"?'),
        (5, "steps[0].run.input.x.ref", 'There is no step "nowhere".'),
        (6, "steps[1].name", 'The name "first" is used twice, first in line 4.'),
        (10, "steps[1].run.parameters.seed", "Input should be a valid integer, unable to parse string as an integer."),
        (11, "steps[1].run.parameters.sede", 'Unknown key "sede".'),
        (
            12,
            "steps[2]",
            "A step must have exactly one of: run, parallel, if, loop, fan_out, approval, sleep. "
            'Unknown key "sleeep". Did you mean "sleep"?',
        ),
        (15, "steps[3].fan_out.plan.window", "Input should be greater than or equal to 1."),
        (15, "steps[3].fan_out.items", 'Items must be "batch", a list, or a reference to a list: {ref: step.field}.'),
    ]


def test_columns_count_from_one() -> None:
    with pytest.raises(DefinitionErrors) as caught:
        parse("kind: pool\nworkers: 3\nprocessor: nope\n", KNOWN)
    (error,) = caught.value.errors
    assert (error.line, error.column) == (3, 12)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "The definition is empty."),
        ("# nothing\n", 1, "The definition is empty."),
        ("- a", 1, "A definition is a mapping"),
        ("steps: []", 1, '"kind" is missing'),
        ("\nkind: job", 2, "There is no such kind. It is one of: pipeline, services, saga, pool, entity, steps."),
        ("kind: pool\nkind: pool", 2, 'The key "kind" is given twice, first in line 1.'),
        ("kind: pool\nworkers: [1", 2, "This is not YAML"),
        ("kind: pool\n\tworkers: 1", 2, "This is not YAML"),
        ("kind: pool\n---\nkind: pool", 2, "There is more than one document."),
        ("kind: !!python/name:os.system x", 1, "Tags such as"),
        ("kind: pool\nworkers: *none", 2, "There is no anchor &none before this."),
        ("a:\n  b: &x\n    c: *x", 3, "The anchor &x contains itself: a cycle."),
        ('kind: "a\\0"', 1, "The character U+0000 is not allowed."),
        ("kind: pool\nworkers: \x07", 2, "The character U+0007 is not allowed."),
        ("kind: \ud800", 1, "The character U+D800 is not allowed."),
        ("? [a]\n: b", 1, "A key must be a word"),
        ("a: 1e999", 1, "too large"),
        ("a: " + "9" * 5_000, 1, "too large"),
        ("x" * (1024**2 + 1), 1, "The definition is larger than 1 MB."),
        ("é" * (1024**2 // 2 + 1), 1, "The definition is larger than 1 MB."),
    ],
)
def test_a_text_that_is_no_definition_is_refused_in_its_line(text: str, line: int, message: str) -> None:
    found = only(text)
    assert (found[0], message in found[2]) == (line, True), found


def nested(levels: int, kind: str) -> str:
    """Return a definition with loops in loops, or lists in lists."""
    if kind == "loops":
        opened = "{name: n%d, loop: {max: 1, until: {ref: s0, op: exists}, steps: ["
        inner = "".join(opened % level for level in range(levels))
        return STEPS + f"- {{name: s0, sleep: 1}}\n- {inner}{{name: last, sleep: 1}}{']}}' * levels}"
    opening, closing = ("[", "]") if kind == "lists" else ("{a: ", "}")
    return f"kind: {opening * levels}{closing * levels}"


@pytest.mark.parametrize("kind", ["loops", "lists", "mappings"])
def test_ten_thousand_levels_are_refused_at_once(kind: str) -> None:
    text = nested(10_000 if kind != "loops" else 3_000, kind)
    started = time.thread_time()
    assert "Nested more than" in only(text)[2]
    assert time.thread_time() - started < AT_ONCE


def test_twenty_levels_are_allowed_and_twenty_one_are_not() -> None:
    assert isinstance(ok(nested(19, "loops")), Steps)
    assert only(nested(20, "loops"))[2] == "Steps nested more than 20 deep."
    deep = "{not: " * 19 + "{ref: s0, op: exists}" + "}" * 19
    branch = "- {{name: s0, sleep: 1}}\n- {{name: s1, if: {}, then: [{{name: s2, sleep: 1}}]}}"
    assert isinstance(ok(STEPS + branch.format(deep)), Steps)
    assert only(STEPS + branch.format(f"{{not: {deep}}}"))[2] == "Conditions nested more than 20 deep."


def test_a_bomb_of_anchors_is_refused_at_once() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for level in range(1, 30):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    started = time.thread_time()
    assert "With its anchors written out" in only("\n".join(lines))[2]
    assert time.thread_time() - started < AT_ONCE


def test_an_anchor_saves_writing_the_same_again() -> None:
    text = """\
kind: pipeline
stages:
  - {name: a, processor: simulate, parameters: &quick {seconds_from: 0, seconds_to: 0}}
  - {name: b, processor: simulate, parameters: *quick}
"""
    first, second = ok(text).stages
    assert first.parameters == second.parameters == {"seconds_from": 0, "seconds_to": 0}


def test_a_thousand_steps_are_allowed_and_no_more() -> None:
    lines = [step(number, "sleep: 1") for number in range(1_001)]
    assert len(ok(STEPS + "".join(lines[:1_000])).steps) == 1_000
    assert only(STEPS + "".join(lines)) == (1_003, "steps[1000]", "More than 1,000 steps.")


def test_loops_that_come_to_too_many_steps_are_refused() -> None:
    inner = "{name: in, loop: {until: {ref: x, op: exists}, max: 100, steps: [{name: x, sleep: 1}]}}"
    text = STEPS + f"- {{name: out, loop: {{while: {{ref: in.held, op: exists}}, max: 100, steps: [{inner}]}}}}"
    assert "With every loop at its maximum 10,101 steps would run" in only(text)[2]


def test_json_is_read_with_its_tabs_and_its_escapes() -> None:
    body = {"kind": "steps", "description": "go 😀", "steps": [{"name": "a", "sleep": 1.5}]}
    assert ok(json.dumps(body, indent="\t")).description == "go 😀"
    broken = json.dumps({**body, "steps": [{"name": "a", "sleep": "soon"}]}, indent="\t")
    assert only(broken)[:2] == (7, "steps[0].sleep")


def test_scalars_mean_what_they_look_like() -> None:
    values = "{a: yes, b: 007, c: 2026-01-01, d: 1e3, e: ~, f: true, g: -5, h: .5, i: 1:30, j: '1', k: 0x1f}"
    assert read(values).plain() == {
        "a": "yes",
        "b": "007",
        "c": "2026-01-01",
        "d": 1000.0,
        "e": None,
        "f": True,
        "g": -5,
        "h": 0.5,
        "i": "1:30",
        "j": "1",
        "k": "0x1f",
    }


def test_inputs_and_parameters_are_checked_with_the_processors_models() -> None:
    assert only(STEPS + step(0, "run: {processor: pay}")) == (3, "steps[0].run.input", '"amount" is missing.')
    assert only(STEPS + step(0, "run: {processor: pay, input: {amount: much}}"))[1] == "steps[0].run.input.amount"
    assert only("kind: pool\nworkers: 2\nprocessor: strict")[1:] == ("parameters", '"amount" is missing.')
    assert (
        only("kind: pool\nworkers: 2\nprocessor: strict\nparameters: [1]")[2]
        == "A mapping (key: value) is required here."
    )


def test_a_validator_that_breaks_is_an_error_of_the_text() -> None:
    class Breaks(Anything):
        @field_validator("*", mode="before", check_fields=False)
        @classmethod
        def _breaks(cls, value: Any) -> Any:
            raise KeyError("surprise")

        amount: int = 1

    broken = Processor("broken", "", "", pay, signature(Anything, Breaks, Anything))
    with pytest.raises(DefinitionErrors, match="KeyError: 'surprise'"):
        parse("kind: pool\nworkers: 1\nprocessor: broken\nparameters: {amount: 1}", {"broken": broken})


def test_what_a_plan_leaves_open_is_as_the_processor_recommends() -> None:
    (stage,) = ok("kind: pipeline\nstages: [{name: a, processor: pay, plan: {window: 9}}]").stages
    assert (stage.plan.chunk_size, stage.plan.window) == (7, 9)
    (fan,) = ok(STEPS + step(0, "fan_out: {processor: pay}")).steps
    assert isinstance(fan, FanOutStep)
    assert fan.fan_out.plan.chunk_size == 7


WHOLE = """\
kind: steps
description: all there is
steps:
  - {name: a, run: {processor: simulate, parameters: {seed: 3}, input: {x: [1, {y: null}]}}}
  - {name: b, parallel: [{name: c, sleep: 1}, {name: d, sleep: 0.5}]}
  - name: e
    if: {any: [{ref: a.attempt, op: in, value: [1, 2]}, {not: {ref: a, op: exists}}]}
    then: [{name: f, loop: {while: {ref: a.data, op: "!=", value: null}, max: 3, steps: [{name: g, sleep: 1}]}}]
    else: [{name: h, fan_out: {processor: simulate, items: [1, two], plan: {chunk_size: 2}}}]
  - {name: i, approval: {title: Go on?, timeout: 60, on_timeout: approve}, refused: [{name: j, sleep: 1}]}
  - {name: k, fan_out: {processor: simulate, items: {ref: a.data}}}
"""


def test_a_definition_survives_the_way_to_a_workflow_and_back() -> None:
    definition = ok(WHOLE)
    adapter = TypeAdapter[Definition](AnyDefinition)
    assert adapter.validate_json(adapter.dump_json(definition, by_alias=True)) == definition
    converter = pydantic_data_converter.payload_converter
    payloads = converter.to_payloads([definition])
    assert converter.from_payloads(payloads, [AnyDefinition]) == [definition]  # type: ignore[list-item]


def test_a_pipelines_models_are_frozen() -> None:
    definition = ok("kind: pipeline\nstages: [{name: a, processor: pay}]")
    assert isinstance(definition, Pipeline)
    with pytest.raises(ValueError, match="frozen"):
        definition.description = "other"  # type: ignore[misc]


VOCABULARY = (
    "kind steps stages services name run parallel if then else loop until while max fan_out approval refused sleep "
    "processor parameters input plan items ref op value all any not compensation workers key simulate pay batch "
    "exists a a.b pipeline saga pool entity item window workflow_type timeout =="
)
WORDS = st.sampled_from(VOCABULARY.split())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=25,
)
CHARACTERS = st.characters(codec=None)
PIECES = st.sampled_from(
    [*"[]{},:-?&*!|>'\"%@`#\t\n \\.~<=0", "\n- ", ": ", "&a ", "*a", "<<: ", "kind: steps\nsteps:\n"]
)


@settings(max_examples=200)
@given(
    st.text(CHARACTERS, max_size=200)
    | st.lists(PIECES | WORDS, max_size=60).map("".join)
    | VALUES.map(json.dumps)
    | st.tuples(st.sampled_from(["pipeline", "services", "saga", "pool", "entity", "steps"]), VALUES).map(
        lambda given: json.dumps({"kind": given[0], "steps": given[1], "stages": given[1], "services": given[1]})
    )
    | st.tuples(st.integers(0, len(WHOLE)), PIECES | WORDS, st.integers(0, 9)).map(
        lambda cut: WHOLE[: cut[0]] + cut[1] + WHOLE[cut[0] + cut[2] :]
    )
)
@example("---")  # its value begins after the last line
@example('{"a": "\\ud83d"}')
def test_whatever_the_text_the_answer_is_a_definition_or_its_errors(text: str) -> None:
    errors: tuple[DefinitionError, ...] = ()
    try:
        assert isinstance(parse(text, KNOWN), Definition)
    except DefinitionErrors as refused:
        errors = refused.errors
    lines = text.count("\n") + text.count("\r") + 1
    assert all(1 <= each.line <= lines and each.column >= 1 and each.message for each in errors)


def test_the_processors_of_this_process_are_known() -> None:
    text = "kind: pipeline\nstages: [{name: get, processor: http_request, parameters: {method: FETCH}}]"
    with pytest.raises(DefinitionErrors, match=r"Line 2 \(stages\[0\].parameters.method\): Input should be 'GET'"):
        parse(text, processors())


def test_a_key_that_belongs_elsewhere_is_said_to() -> None:
    text = "kind: steps\nsteps:\n  - name: a\n    timeout: 60s\n    run: {processor: simulate, input: {}}\n"
    (found,) = wrong(text)
    assert found[0] == 4
    assert 'Unknown key "timeout".' in found[2]
    assert "belongs below" in found[2]
    assert '"approval"' in found[2]
    assert "Did you mean" not in found[2]
