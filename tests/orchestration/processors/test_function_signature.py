"""Processors from typed functions, in all the forms that a developer may write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from orchestration.processors import registry
from orchestration.processors.catalogue import CannotLoad, get_processor, load, processor_of
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.testing import process_items, run_items


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    load()
    monkeypatch.setattr(registry, "_processors", dict(registry._processors))
    yield
    load.cache_clear()


@dataclass
class Person:
    """A row of the input."""

    name: str
    age: Annotated[int, Field(ge=0, le=150)] = 30


@dataclass
class Greeting:
    """How to greet."""

    word: str = "Hello"
    times: Annotated[int, Field(ge=1)] = 1


@dataclass
class Greeted:
    """The greeting."""

    said: str


def test_dataclasses_become_item_parameters_and_result() -> None:
    @processor(key="name")
    async def greet_people(item: Person, parameters: Greeting) -> Greeted:
        """Say hello to each.

        More of it.
        """
        return Greeted(f"{parameters.word * parameters.times} {item.name} ({item.age})")

    made = processor_of(greet_people)
    assert (made.name, made.title, made.summary) == ("greet_people", "Greet people", "Say hello to each.")
    assert list(made.parameters_model.model_fields) == ["word", "times"]
    assert list(made.result_model.model_fields) == ["said"]
    first, second = run_items(greet_people, [{"name": "Ann", "age": "7"}, {"name": "Bo", "age": 151}], {"times": 2})
    assert first.result == {"said": "HelloHello Ann (7)"}
    assert second.error_type == "ValidationError"
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        run_items(greet_people, [], {"wrong": 1})


def test_a_plain_value_is_an_item_and_a_result() -> None:
    @processor
    def double(number: int) -> int:
        """Double it."""
        return 2 * number

    assert [each.result for each in run_items(double, [{"value": "4"}, {"value": 5}])] == [8, 10]
    assert run_items(double, [{"value": "x"}])[0].error_type == "ValidationError"


def test_a_result_of_another_type_fails_the_item() -> None:
    @processor
    async def promise(text: str) -> dict[str, int]:
        """Return something else."""
        return {"length": object()}  # type: ignore[dict-item]

    assert "Serializ" in run_items(promise, [{"value": "x"}])[0].error_type


def test_a_function_of_many_gets_them_in_one_call_and_only_failed_ones_again() -> None:
    calls = list[list[str]]()

    @processor(together=3)
    async def many(items: list[Person], parameters: Greeting, contexts: list[ItemContext]) -> list[Greeted | Exception]:
        """Greet three at a time."""
        calls.append([item.name for item in items])
        assert [each.key for each in contexts] == [str("abcd".index(item.name)) for item in items]
        failed = KeyError("no b")
        return [failed if item.name == "b" and contexts[0].attempt == 1 else Greeted(item.name) for item in items]

    people: list[dict[str, Any]] = [{"name": name} for name in "abcd"]
    outcomes = run_items(many, people, item_attempts=2)
    assert [each.result for each in outcomes] == [{"said": name} for name in "abcd"]
    assert [each.attempts for each in outcomes] == [1, 2, 1, 1]
    assert sorted(calls) == [["a", "b", "c"], ["b"], ["d"]]
    once = run_items(many, people, item_attempts=1)
    assert [each.error_type for each in once] == ["", "KeyError", "", ""]


def test_a_failed_call_for_many_fails_each_item() -> None:
    @processor
    def many(items: list[str]) -> list[int]:
        """Break for all, or forget one."""
        if "break" in items:
            raise RuntimeError("all of them")
        return [1]

    assert [each.error for each in run_items(many, [{"value": "a"}, {"value": "break"}])] == ["all of them"] * 2
    forgotten = run_items(many, [{"value": "a"}, {"value": "b"}])
    assert [each.error for each in forgotten] == ["Expected 2 results, one per item, but got 1."] * 2


async def test_a_setup_is_entered_once_and_exited_at_the_end() -> None:
    made = list[str]()

    @asynccontextmanager
    async def pool() -> AsyncIterator[str]:
        made.append("made")
        if len(made) == 1:
            raise ConnectionError("not yet")
        yield "pool"
        made.append("left")

    @processor(setup=pool)
    async def use(text: str, context: ItemContext) -> str:
        """Use the pool."""
        await asyncio.sleep(0)
        return f"{text} {context.resource}"

    outcomes = await process_items(use, [{"value": str(number)} for number in range(20)], item_attempts=2)
    assert [each.result for each in outcomes] == [f"{number} pool" for number in range(20)]
    assert made == ["made", "made", "left"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("async def f(item, parameters: P) -> R: ...", "item needs a type"),
        ("async def f(item: P): ...", "its result needs a type"),
        ("async def f(item: P, parameters: dict) -> R: ...", "parameters needs a pydantic model, a dataclass"),
        ("async def f() -> R: ...", "must take"),
        ("async def f(context: ItemContext, item: P) -> R: ...", "must take"),
        ("async def f(items: list[P]) -> R: ...", "so it must return a list"),
        ("async def f(items: list[P], context: ItemContext) -> list[R]: ...", "a list of contexts exactly where"),
        ("async def f(item: Unknown) -> R: ...", "not known where it stands"),
    ],
)
def test_an_untyped_function_is_rejected_with_file_and_reason(
    source: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "mine_untyped.py"
    module.write_text(
        "from __future__ import annotations\nfrom pydantic import BaseModel\n"
        "from orchestration.processors.registry import ItemContext, processor\n"
        f"class P(BaseModel): pass\nclass R(BaseModel): pass\n@processor\n{source}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CANOPY_PROCESSORS", "mine_untyped")
    load.cache_clear()
    with pytest.raises(CannotLoad, match=reason) as refused:
        load()
    assert str(module) in str(refused.value)
    assert "CANOPY_PROCESSORS: mine_untyped" in str(refused.value)


def test_a_module_that_is_a_script_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_script.py").write_text("import sys\nsys.exit(2)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CANOPY_PROCESSORS", "a_script")
    load.cache_clear()
    with pytest.raises(CannotLoad, match="a_script: SystemExit: 2"):
        load()


def test_two_processors_of_one_name_in_one_file_are_rejected() -> None:
    @processor(name="same")
    def one(text: str) -> str:
        return text

    with pytest.raises(ValueError, match=r"two: the name 'same' is taken by .*one"):

        @processor(name="same")
        def two(text: str) -> str:
            return text


def test_a_key_that_is_no_field_of_the_item_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"its key 'email' is not a field of an item\. Fields: name, age\."):

        @processor(key="email")
        def keyed(item: Person) -> str:
            return item.name


def test_processors_of_installed_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brought.py").write_text(
        "from orchestration.processors.registry import processor\n"
        "@processor\ndef brought_along(text: str) -> str:\n    'Came with a package.'\n    return text\n"
    )
    about = tmp_path / "brought-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[canopy.processors]\nbrought = brought\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    load.cache_clear()
    assert get_processor("brought_along").summary == "Came with a package."
