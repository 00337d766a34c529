"""How large a definition may be, and what is said of one that is larger."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable

import pytest

from orchestration.definitions.models import MAX_TEXT_BYTES
from orchestration.definitions.parser import parse
from orchestration.definitions.source_tree import DefinitionErrors
from orchestration.processors.catalogue import processors
from tests.support.growth import check_growth

HEAD = "kind: steps\nsteps:\n- name: first\n  run: {processor: simulate, input: {data: %s}}\n"
RANDOM = "".join(random.Random(7).choices(string.ascii_letters, k=300_000))
LOOP = """
- name: again
  loop: {max: 100, until: {ref: step.attempt, op: exists}, steps: [
    {name: step, run: {processor: simulate, input: {data: "%s"}}}]}
"""


def as_long_as_allowed(text: str) -> str:
    """Return a definition with a comment up to the last byte that it may have."""
    return text + "#" * (MAX_TEXT_BYTES - len(text.encode()))


@pytest.mark.parametrize(
    "data",
    ["x" * 1_000_000, [{"number": number, "name": f"item {number}"} for number in range(25_000)]],
    ids=["one text", "a list of items"],
)
def test_a_definition_of_a_megabyte_is_valid(data: object) -> None:
    parse(as_long_as_allowed(HEAD % json.dumps(data)), processors(), is_new=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD % "[]" + "#" * MAX_TEXT_BYTES, "larger than 1 MB"),
        (HEAD % ("'" + '"' * 1_000_000 + "'"), "as JSON"),
        (HEAD % f"[&a {RANDOM}, *a, *a, *a, *a, *a]", "compressed"),
        (HEAD % ("[" + "a," * 300_000 + "]"), "more than 250,000 values"),
        (HEAD % ("[&a [" + "a," * 1_000 + "]" + ", *a" * 300 + "]"), "more than 250,000 values"),
        (HEAD % "[]" + LOOP % ("x" * 300_000), "every loop at its maximum"),
    ],
    ids=["text", "json", "anchors", "values", "values of anchors", "loops"],
)
def test_one_that_does_not_fit_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(DefinitionErrors) as refused:
        parse(text, processors(), is_new=True)
    assert message.lower() in str(refused.value).lower()


def test_one_that_was_saved_before_there_was_such_a_limit_is_read() -> None:
    parse(HEAD % "[]" + LOOP % ("x" * 300_000), processors(), to_launch=False)


@pytest.mark.parametrize(
    "data",
    [lambda n: "[" + "a," * n + "]", lambda n: "x" * 8 * n, lambda n: "[" + "{a: b}," * n + "]"],
    ids=["words", "text", "mappings"],
)
def test_checking_takes_time_in_proportion_to_the_text(data: Callable[[int], str]) -> None:
    check_growth(data, lambda text: parse(HEAD % text, processors()), 8_000)
