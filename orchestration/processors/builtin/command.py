"""command: runs an allowed program for each item. Registered only if the installation allows a program.

CANOPY_COMMANDS is the allow-list, the same for web and workers: pairs such as `resize=/opt/bin/resize`, with absolute
paths, separated by commas. CANOPY_COMMANDS_USER is the user that programs run as, for which the worker has to be root.
CANOPY_COMMANDS_ENVIRONMENT lists the variables that a batch may set for them.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from orchestration.processors.builtin.program_start import (
    COMMANDS_VARIABLE,
    USER_VARIABLE,
    InvalidArguments,
    Start,
    filled_arguments,
    program_user,
    start,
    terminate,
)
from orchestration.processors.catalogue import CannotLoad
from orchestration.processors.form_hints import DURATION
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.processors.secret_scopes import SecretNotAllowed, check_use
from orchestration.processors.secrets import SecretMissing, longest_spelling, mask, value_of
from orchestration.processors.templating import Fields, UnknownField, fill_text, secrets_in

ENVIRONMENT_VARIABLE = "CANOPY_COMMANDS_ENVIRONMENT"
PROGRAM_NAME = re.compile(r"[\w.-]+")

INHERITED_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ")
"""Environment variables passed on from the worker. The others, secrets among them, are not; HOME is the folder."""

READ_BYTES = 64 * 1024
MOST_BYTES = 4
"""Bytes of a character in UTF-8, at most."""


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
        "argument. Put -- before fields that might start with a dash: without it such an item fails.",
        json_schema_extra={"widget": "textarea"},
    )
    environment: dict[str, str] = Field(
        default_factory=dict,
        max_length=50,
        title="Environment",
        description="Variables that the installation lets batches set, one per line, as NAME: value. With item fields "
        "in braces; {secret:NAME} inserts a secret.",
    )
    standard_input: str = Field(
        default="",
        max_length=100_000,
        title="Standard input",
        description="With item fields in braces; {secret:NAME} inserts a secret, which process lists do not show here.",
        json_schema_extra={"widget": "textarea"},
    )
    expected_codes: str = Field(default="0", title="Expected exit codes", description="Separated by commas.")
    timeout: float = Field(
        default=60,
        gt=0,
        le=86_400,
        title="Time limit",
        description="How long one run may take.",
        json_schema_extra=DURATION,
    )
    output_kept: int = Field(
        default=4_000, ge=0, le=100_000, title="Output kept", description="The last bytes of each output stream."
    )

    @field_validator("arguments")
    @classmethod
    def _refuse_secrets(cls, given: str) -> str:
        if secrets_in(given):
            raise ValueError(
                "Arguments stand in the list of processes, which others can read: give a secret to the program as "
                "standard input or in its environment instead."
            )
        return given

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
    run_as = program_user(os.environ.get(USER_VARIABLE, ""))
    for name in sorted(secrets_in([parameters.standard_input, *parameters.environment.values()])):
        check_use(name, program=parameters.program)
    arguments = filled_arguments(parameters.arguments, fields)
    environment = _environment(parameters, fields, context)
    standard_input = fill_text(parameters.standard_input, fields, value_of).encode()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="canopy-command-") as folder:
        process = await start(Start([str(program), *arguments], environment, folder, run_as))
        try:
            async with asyncio.timeout(parameters.timeout):
                output, errors = await _communicate(process, standard_input, parameters.output_kept)
        except TimeoutError as error:
            raise UnexpectedExit(f"Timed out after {parameters.timeout:g} s and was killed.") from error
        finally:
            await terminate(process)
    code = process.returncode or 0
    if code not in exit_codes(parameters.expected_codes):
        raise UnexpectedExit(_exit_message(code, errors or output))
    seconds = round(time.monotonic() - started, 3)
    return CommandResult(exit_code=code, seconds=seconds, output=output, errors=errors)


def _environment(parameters: CommandParameters, fields: Mapping[str, Any], context: ItemContext) -> dict[str, str]:
    """Return the whole environment of a program. Raises InvalidArguments for a variable that is not allowed."""
    allowed = {each.strip() for each in os.environ.get(ENVIRONMENT_VARIABLE, "").split(",")} - {""}
    if others := sorted(set(parameters.environment) - allowed):
        raise InvalidArguments(f"Batches may not set {others[0]} on this worker ({ENVIRONMENT_VARIABLE}).")
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    given = {name: fill_text(value, fields, value_of) for name, value in parameters.environment.items()}
    return inherited | given | {"CANOPY_ITEM_KEY": context.key, "CANOPY_IDEMPOTENCY_KEY": context.idempotency_key}


async def _communicate(process: Process, standard_input: bytes, kept: int) -> tuple[str, str]:
    """Write the input, read both outputs to their end, and return the last `kept` bytes of each, without secrets."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    async def write(stdin: asyncio.StreamWriter) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # a program need not read its input
            stdin.write(standard_input)
            await stdin.drain()
            stdin.close()
            await stdin.wait_closed()

    async def read(stream: asyncio.StreamReader) -> str:
        last, size = b"", 0
        while part := await stream.read(READ_BYTES):
            size += len(part)
            last = (last + part)[-(kept + MOST_BYTES * margin) :] if kept else b""
        text = str(mask(_text(last)))
        return _last_bytes(text if size == len(last) else text[margin:], kept)

    margin = longest_spelling()  # a secret that begins before what is kept is masked first, then cut
    _, output, errors = await asyncio.gather(write(process.stdin), read(process.stdout), read(process.stderr))
    await process.wait()
    return output, errors


def _last_bytes(text: str, kept: int) -> str:
    return text.encode()[-kept:].decode(errors="replace") if kept else ""


def _exit_message(code: int, output: str) -> str:
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
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
        non_retryable=(InvalidArguments, SecretMissing, SecretNotAllowed, UnknownField),
        icon="command-line",
        example="one\ntwo",
    )(command)


if names := sorted(allowed_commands(os.environ.get(COMMANDS_VARIABLE, ""))):
    _register(names)
