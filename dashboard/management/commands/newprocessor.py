"""manage.py newprocessor: writes a working processor and its test as a starting point."""

from __future__ import annotations

import keyword
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard import resources
from orchestration.processors.catalogue import CannotLoad, processors

PROCESSOR = '''\
"""{title}: say here what it does with each item."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from orchestration.processors.registry import processor


@dataclass
class Item:
    """A row of the input: a column for each field. A row that does not fit is rejected before anything starts."""

    name: str
    amount: Annotated[int, Field(ge=0)] = 1


@dataclass
class Parameters:
    """The launch form: a field for each, with its bounds, choices and default."""

    limit: Annotated[int, Field(ge=1, description="A larger amount fails.")] = 100


@dataclass
class Result:
    """The result of each item: a column for each field."""

    doubled: int


@processor(key="name", example="name,amount\\nfirst,1\\nsecond,2", example_format="csv")
def {name}(item: Item, parameters: Parameters) -> Result:
    """{title} an amount for each item."""
    if item.amount > parameters.limit:
        raise ValueError(f"{{item.amount}} is more than {{parameters.limit}}.")
    return Result(doubled=2 * item.amount)
'''

TEST = '''\
"""{title}: what becomes of a few items, without Temporal and without a database."""

from orchestration.testing import run_items
from {name} import {name}


def test_an_amount_is_doubled() -> None:
    assert run_items({name}, [{{"name": "first", "amount": "21"}}])[0].result == {{"doubled": 42}}


def test_more_than_the_limit_fails() -> None:
    (outcome,) = run_items({name}, [{{"name": "first", "amount": 9}}], {{"limit": 8}}, item_attempts=2)
    assert (outcome.error, outcome.attempts) == ("9 is more than 8.", 2)
'''


class Command(BaseCommand):
    """Write a processor and its test, and print the next steps."""

    help = "Create a new processor and its test."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the name and the folder."""
        parser.add_argument("name", help="of the processor, its module and its function, such as resize_images")
        parser.add_argument("--into", type=Path, default=Path(), help="the folder (default: this one)")

    def handle(self, *args: Any, name: str, into: Path, **options: Any) -> None:
        """Write both files. Rejects an invalid or taken name; never overwrites a file."""
        if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
            raise CommandError(f"{name!r} cannot name a Python function: use small letters, digits and underscores.")
        if not into.is_dir():
            raise CommandError(f"{into} is not a folder.")
        files = {into / f"{name}.py": PROCESSOR, into / f"test_{name}.py": TEST}
        _check_is_free(name, list(files))
        for file, text in files.items():
            file.write_text(text.format(name=name, title=name.replace("_", " ").capitalize()))
            self.stdout.write(f"Wrote {file}")
        where = f"PYTHONPATH={into} " if into != Path() else ""
        python = os.path.relpath(sys.executable)
        self.stdout.write(f"Test it: {where}{python} -m pytest {into / f'test_{name}.py'}")
        run = "make run" if resources.CHECKOUT else "canopy run"
        self.stdout.write(f"Run it: {where}CANOPY_PROCESSORS={name} {run}")


def _check_is_free(name: str, files: list[Path]) -> None:
    for file in files:
        if file.exists():
            raise CommandError(f"{file} already exists.")
    try:
        existing = processors().get(name)
    except CannotLoad as error:
        raise CommandError(str(error)) from error
    if existing is not None:
        raise CommandError(f"The processor {name!r} already exists: {existing.place}.")
    if find_spec(name) is not None:
        raise CommandError(f"A Python module {name!r} already exists: choose another name.")
