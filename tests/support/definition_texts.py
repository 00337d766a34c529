"""What tests of definitions share: processors to name, and ways to say that a text is right or wrong."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from pydantic import BaseModel

from orchestration.definitions.parser import parse
from orchestration.definitions.source_tree import DefinitionErrors
from orchestration.processors.catalogue import get_processor, load
from orchestration.processors.function_signature import ArgumentType, Signature
from orchestration.processors.processor import ItemContext, Processor
from tests.support.stack import Stack


class Anything(BaseModel, extra="allow"):
    """An item, or nothing."""


class Needs(BaseModel, extra="forbid"):
    """An item or parameters with one field."""

    amount: int


def signature(item: type[BaseModel], parameters: type[BaseModel], result: type[BaseModel]) -> Signature:
    """Return the signature of a function with these models."""
    return Signature(ArgumentType(item), ArgumentType(parameters), result)


async def pay(item: Needs, parameters: Anything, context: ItemContext) -> Needs:
    """Return the item."""
    return item


load()
KNOWN = {
    "simulate": get_processor("simulate"),
    "pay": Processor(
        "pay", "Pay", "", pay, signature(Needs, Anything, Needs), default_plan={"chunk_size": 7, "window": 3}
    ),
    "strict": Processor("strict", "Strict", "", pay, signature(Anything, Needs, Anything)),
}
STEPS = "kind: steps\nsteps:\n"


def ok(text: str) -> Any:
    """Parse a text that is right."""
    return parse(text, KNOWN)


def wrong(text: str) -> list[tuple[int, str, str]]:
    """Return line, path and message of what is wrong with a text."""
    with pytest.raises(DefinitionErrors) as caught:
        parse(text, KNOWN)
    return [(error.line, error.path, error.message) for error in caught.value.errors]


def only(text: str) -> tuple[int, str, str]:
    """Return the one thing that is wrong with a text."""
    found = wrong(text)
    assert len(found) == 1, found
    return found[0]


def step(number: int, body: str) -> str:
    """Return a step on one line."""
    return f"- {{name: s{number}, {body}}}\n"


def save_definition(stack: Stack, text: str) -> int:
    """Save a definition and return its version's id."""
    given = {"name": f"pipeline {secrets.token_hex(4)}", "text": text}
    return int(stack.api("POST", "/definitions", given).json()["newest"]["id"])
