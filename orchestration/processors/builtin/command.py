"""command: one run of an allowed program an item. There is none unless the installation allows one.

CANOPY_COMMANDS is the allow-list, for web and workers alike: names with absolute paths, as `resize=/opt/bin/resize`,
separated by commas.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from orchestration.processors.catalogue import CannotLoad
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.processors.secrets import SecretMissing
from orchestration.processors.templating import Fields, UnknownField, fill_text

ALLOWED = "CANOPY_COMMANDS"
NAME = re.compile(r"[\w.-]+")

GRACE = 3.0
"""Seconds that a program has after it was told to end, before it is killed with all that it has started."""

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""Of the worker's environment: the rest, secrets among it, is no business of a program's."""

READ_AT_ONCE = 64 * 1024


class InvalidArguments(Exception):
    """The item makes no arguments that a program could be given."""


class UnexpectedExit(Exception):
    """The program ended with another code than was expected, or by a signal."""


class CommandParameters(BaseModel):
    """What is run, as templates over an item's fields."""

    model_config = ConfigDict(extra="forbid")

    program: str = Field(title="Program", description="A program that the installation allows.")
    arguments: str = Field(
        default="{value}",
        max_length=20_000,
        title="Arguments",
        description="One per line, with item fields in braces. There is no shell, so a field always stays within its "
        "argument. Put -- before fields that might start with a dash.",
        json_schema_extra={"widget": "textarea"},
    )
    standard_input: str = Field(
        default="",
        max_length=100_000,
        title="Standard input",
        description="With item fields in braces; {secret:NAME} inserts a secret, which process lists do not show here.",
        json_schema_extra={"widget": "textarea"},
    )
    expected_codes: str = Field(default="0", title="Expected exit codes", description="Separated by commas.")
    timeout: float = Field(default=60, gt=0, le=86_400, title="Time limit", description="Seconds per run.")
    output_kept: int = Field(
        default=4_000, ge=0, le=100_000, title="Output kept", description="The last bytes of each output stream."
    )

    @field_validator("expected_codes")
    @classmethod
    def _codes_can_be_read(cls, given: str) -> str:
        codes_of(given)
        return given


class CommandResult(BaseModel):
    """How the program ended after so many seconds, and the end of what it wrote."""

    exit_code: int
    seconds: float
    output: str
    errors: str


def codes_of(given: str) -> frozenset[int]:
    """Read exit codes. Raises ValueError with a message for a person."""
    codes = [part.strip() for part in given.split(",")]
    for code in codes:
        if not code.isdecimal() or int(code) > 255:
            raise ValueError(f"{code!r} is not an exit code from 0 to 255.")
    return frozenset(map(int, codes))


def allowed_commands(given: str) -> Mapping[str, Path]:
    """Read the allow-list. Raises CannotLoad for what is none."""
    found = dict[str, Path]()
    for part in filter(None, map(str.strip, given.split(","))):
        name, _, path = part.partition("=")
        if not NAME.fullmatch(name) or not Path(path).is_absolute():
            raise CannotLoad(f"{ALLOWED}: {part!r} does not have the form name=/absolute/path.")
        found[name] = Path(path)
    return found


async def run_command(item: Fields, parameters: CommandParameters, context: ItemContext) -> CommandResult:
    """Run the program and return how it ended. It ends, with all it has started, when the item is canceled."""
    program = allowed_commands(os.environ.get(ALLOWED, "")).get(parameters.program)
    if program is None:
        raise InvalidArguments(f"{parameters.program!r} is not allowed on this worker ({ALLOWED}).")
    fields = context.fields(item)
    arguments = [fill_text(line, fields) for line in parameters.arguments.splitlines() if line.strip()]
    given = fill_text(parameters.standard_input, fields).encode()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="canopy-command-") as folder:
        process = await _start(program, arguments, folder, context)
        try:
            async with asyncio.timeout(parameters.timeout):
                output, errors = await _talk(process, given, parameters.output_kept)
        except TimeoutError as error:
            raise UnexpectedExit(f"Timed out after {parameters.timeout:g} s and was killed.") from error
        finally:
            await _end(process)
    code = process.returncode or 0
    if code not in codes_of(parameters.expected_codes):
        raise UnexpectedExit(_words(code, errors or output))
    seconds = round(time.monotonic() - started, 3)
    return CommandResult(exit_code=code, seconds=seconds, output=_text(output), errors=_text(errors))


async def _start(program: Path, arguments: list[str], folder: str, context: ItemContext) -> Process:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    own = {"CANOPY_ITEM_KEY": context.key, "CANOPY_IDEMPOTENCY_KEY": context.idempotency_key}
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            str(program),
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=folder,
            env=inherited | own,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:  # it may run already, before anybody here has hold of it
        with suppress(ValueError, OSError):
            await _end(await starting)
        raise
    except (ValueError, OSError) as error:  # a NUL in an argument; no such program, or more than fits
        raise InvalidArguments(f"{program} cannot be started: {error}") from error


async def _talk(process: Process, given: bytes, kept: int) -> tuple[bytes, bytes]:
    """Write its input and read its outputs to their end, of which the last bytes are kept."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    async def write(stdin: asyncio.StreamWriter) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it need not read what it is given
            stdin.write(given)
            await stdin.drain()
            stdin.close()
            await stdin.wait_closed()

    async def read(stream: asyncio.StreamReader) -> bytes:
        last = b""
        while part := await stream.read(READ_AT_ONCE):
            last = (last + part)[-kept:] if kept else b""
        return last

    _, output, errors = await asyncio.gather(write(process.stdin), read(process.stdout), read(process.stderr))
    await process.wait()
    return output, errors


async def _end(process: Process) -> None:
    """End what is left of the program's process group: politely, then not."""
    for number, wait in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await process.wait()
                await _until_gone(process.pid)
    await process.wait()


async def _until_gone(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        while True:
            os.killpg(group, 0)
            await asyncio.sleep(0.02)


def _words(code: int, said: bytes) -> str:
    last = next((line for line in reversed(_text(said).splitlines()) if line.strip()), "")
    how = f"Exited with {code}" if code >= 0 else f"Ended by {signal.Signals(-code).name}"
    return f"{how}: {last[:500]}" if last else f"{how}."


def _text(output: bytes) -> str:
    return output.decode(errors="replace").replace("\x00", "\ufffd")


def _register(names: list[str]) -> None:
    """Offer what is allowed, as choices of the form."""
    one_of: Any = Literal[tuple(names)]
    field: Any = Field(default=names[0], title="Program", description="A program that the installation allows.")
    model = create_model("CommandParameters", __base__=CommandParameters, program=(one_of, field))

    async def command(item: Fields, parameters: CommandParameters, context: ItemContext) -> CommandResult:
        return await run_command(item, parameters, context)

    command.__annotations__["parameters"] = model
    processor(
        name="command",
        title="Command",
        summary="Run an allowed program for each item, with arguments built from its fields, never through a shell.",
        non_retryable=(InvalidArguments, SecretMissing, UnknownField),
        icon="command-line",
        example="one\ntwo",
    )(command)


if names := sorted(allowed_commands(os.environ.get(ALLOWED, ""))):
    _register(names)
