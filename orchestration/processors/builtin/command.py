"""command: runs an allowed program for each item. Registered only if the installation allows a program.

CANOPY_COMMANDS is the allow-list, the same for web and workers: pairs such as `resize=/opt/bin/resize`, with absolute
paths, separated by commas.
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

UMASK_VARIABLE = "CANOPY_UMASK"
"""Environment: the umask of programs, in octal; that of the worker is for its own files."""

COMMANDS_VARIABLE = "CANOPY_COMMANDS"
PROGRAM_NAME = re.compile(r"[\w.-]+")

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL to the program's process group, and to wait for each."""

INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""Environment variables passed on from the worker. The others, secrets among them, are not."""

READ_BYTES = 64 * 1024


class InvalidArguments(Exception):
    """The program is not allowed, or cannot be started with the item's arguments."""


class UnexpectedExit(Exception):
    """The program timed out, was ended by a signal, or exited with an unexpected code."""


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
    def _check_codes(cls, given: str) -> str:
        exit_codes(given)
        return given


class CommandResult(BaseModel):
    """Exit code, run time in seconds, and the last part of each output stream."""

    exit_code: int
    seconds: float
    output: str
    errors: str


def exit_codes(given: str) -> frozenset[int]:
    """Parse exit codes. Raises ValueError with a message for the user."""
    codes = [part.strip() for part in given.split(",")]
    for code in codes:
        if not code.isdecimal() or int(code) > 255:
            raise ValueError(f"{code!r} is not an exit code from 0 to 255.")
    return frozenset(map(int, codes))


def allowed_commands(given: str) -> Mapping[str, Path]:
    """Parse the allow-list into paths by name. Raises CannotLoad if it is malformed."""
    found = dict[str, Path]()
    for part in filter(None, map(str.strip, given.split(","))):
        name, _, path = part.partition("=")
        if not PROGRAM_NAME.fullmatch(name) or not Path(path).is_absolute():
            raise CannotLoad(f"{COMMANDS_VARIABLE}: {part!r} does not have the form name=/absolute/path.")
        found[name] = Path(path)
    return found


async def run_command(item: Fields, parameters: CommandParameters, context: ItemContext) -> CommandResult:
    """Run the program; on cancellation terminate its process group. Raises InvalidArguments, UnexpectedExit."""
    program = allowed_commands(os.environ.get(COMMANDS_VARIABLE, "")).get(parameters.program)
    if program is None:
        raise InvalidArguments(f"{parameters.program!r} is not allowed on this worker ({COMMANDS_VARIABLE}).")
    fields = context.fields(item)
    arguments = [fill_text(line, fields) for line in parameters.arguments.splitlines() if line.strip()]
    standard_input = fill_text(parameters.standard_input, fields).encode()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="canopy-command-") as folder:
        process = await _start(program, arguments, folder, context)
        try:
            async with asyncio.timeout(parameters.timeout):
                output, errors = await _communicate(process, standard_input, parameters.output_kept)
        except TimeoutError as error:
            raise UnexpectedExit(f"Timed out after {parameters.timeout:g} s and was killed.") from error
        finally:
            await _terminate(process)
    code = process.returncode or 0
    if code not in exit_codes(parameters.expected_codes):
        raise UnexpectedExit(_exit_message(code, errors or output))
    seconds = round(time.monotonic() - started, 3)
    return CommandResult(exit_code=code, seconds=seconds, output=_text(output), errors=_text(errors))


async def _start(program: Path, arguments: list[str], folder: str, context: ItemContext) -> Process:
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
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
            umask=int(os.environ.get(UMASK_VARIABLE, "-1"), 8),
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:  # the process may be running already
        with suppress(ValueError, OSError):
            await _terminate(await starting)
        raise
    except (ValueError, OSError) as error:  # a NUL in an argument; no such program, or too many arguments
        raise InvalidArguments(f"{program} cannot be started: {error}") from error


async def _communicate(process: Process, standard_input: bytes, kept: int) -> tuple[bytes, bytes]:
    """Write the input, read both outputs to their end, and return the last `kept` bytes of each."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    async def write(stdin: asyncio.StreamWriter) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # a program need not read its input
            stdin.write(standard_input)
            await stdin.drain()
            stdin.close()
            await stdin.wait_closed()

    async def read(stream: asyncio.StreamReader) -> bytes:
        last = b""
        while part := await stream.read(READ_BYTES):
            last = (last + part)[-kept:] if kept else b""
        return last

    _, output, errors = await asyncio.gather(write(process.stdin), read(process.stdout), read(process.stderr))
    await process.wait()
    return output, errors


async def _terminate(process: Process) -> None:
    """Send SIGTERM, then SIGKILL, to what is left of the process group."""
    for number, wait in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await process.wait()
                await _wait_for_group(process.pid)
    await process.wait()


async def _wait_for_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        while True:
            os.killpg(group, 0)
            await asyncio.sleep(0.02)


def _exit_message(code: int, output: bytes) -> str:
    last = next((line for line in reversed(_text(output).splitlines()) if line.strip()), "")
    how = f"Exited with {code}" if code >= 0 else f"Ended by {signal.Signals(-code).name}"
    return f"{how}: {last[:500]}" if last else f"{how}."


def _text(output: bytes) -> str:
    return output.decode(errors="replace").replace("\x00", "\ufffd")


def _register(names: list[str]) -> None:
    """Register the processor, with the allowed programs as the choices of its form."""
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


if names := sorted(allowed_commands(os.environ.get(COMMANDS_VARIABLE, ""))):
    _register(names)
