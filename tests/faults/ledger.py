"""A processor that leaves a line in a file when it begins an item and when it is done, for campaigns."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from orchestration.processors.registry import ItemContext, processor

LEDGER = "CANOPY_LEDGER"
"""Environment: the file."""

BEGUN, DONE, UNDONE = "begun", "done", "undone"


class AnyItem(BaseModel):
    """An item of any shape."""

    model_config = ConfigDict(extra="allow")


class Work(BaseModel):
    """How long an item takes, in seconds, and how many of its first attempts fail, in what share of items."""

    seconds_from: float = 0.02
    seconds_to: float = 0.2
    fail_first: int = 0
    fail_share: float = 1.0
    stage: str = ""


class Done(BaseModel):
    """Which attempt it was."""

    attempt: int


class AskedFor(Exception):
    """A failure that the parameters ask for."""


def drawn(text: str) -> float:
    """Return a number from 0 to 1 that is always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def note(event: str, context: ItemContext, stage: str) -> None:
    """Append a line in one write, so that lines of several processes never mix."""
    line = {"at": time.time(), "event": event, "item": context.idempotency_key, "stage": stage, "process": os.getpid()}
    with Path(os.environ[LEDGER]).open("ab", buffering=0) as file:
        file.write(json.dumps(line).encode() + b"\n")


async def undo(item: AnyItem, work: Work, result: Done, context: ItemContext) -> None:
    """Leave a line that says that an item was undone."""
    note(UNDONE, context, work.stage)


@processor(title="Ledgered", summary="Leaves a line in a ledger.", compensation=undo, example_format="count")
async def ledgered(item: AnyItem, work: Work, context: ItemContext) -> Done:
    """Leave a line at the beginning and one at the end."""
    note(BEGUN, context, work.stage)
    await asyncio.sleep(work.seconds_from + (work.seconds_to - work.seconds_from) * drawn(context.key))
    if context.attempt <= work.fail_first and drawn(f"fails {context.key}") < work.fail_share:
        raise AskedFor(f"The first {work.fail_first} attempts fail.")
    note(DONE, context, work.stage)
    return Done(attempt=context.attempt)
