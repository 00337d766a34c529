"""Starts of programs: their arguments, the user they run as, and their end together with all that they started."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import re
import shutil
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from orchestration.processors.templating import PLACEHOLDER, fill_text

log = logging.getLogger(__name__)

COMMANDS_VARIABLE = "CANOPY_COMMANDS"
USER_VARIABLE = "CANOPY_COMMANDS_USER"

GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL to the program's process group, and to wait for each."""

UMASK_VARIABLE = "CANOPY_UMASK"
"""Environment: the umask of programs, in octal; that of the worker is for its own files."""

END_OF_OPTIONS = "--"


class InvalidArguments(Exception):
    """The program is not allowed, or cannot be started with the item's arguments."""


@dataclass(frozen=True)
class ProgramUser:
    """The user that a program runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_own(self) -> bool:
        """Whether the worker runs as this user already, and not as root, who could become anyone."""
        return self.uid == os.geteuid() != 0


@dataclass(frozen=True)
class Start:
    """A program with its arguments, its whole environment, its folder, and the user that it runs as."""

    command: list[str]
    environment: Mapping[str, str]
    folder: str
    run_as: ProgramUser | None


def program_user(name: str) -> ProgramUser | None:
    """Return the user of a name, None for no name. Raises InvalidArguments if there is none, or if it is root."""
    if not name.strip():
        return None
    try:
        found = pwd.getpwnam(name.strip())
    except KeyError:
        raise InvalidArguments(f"There is no user {name.strip()!r} to run programs as.") from None
    if found.pw_uid == 0:
        raise InvalidArguments("Programs are not run as root: name another user.")
    return ProgramUser(found.pw_name, found.pw_uid, found.pw_gid)


def warn_of_programs_as_root() -> None:
    """Log that allowed programs run as root, and what to do, where they do."""
    programs, user = os.environ.get(COMMANDS_VARIABLE, ""), os.environ.get(USER_VARIABLE, "")
    if programs.strip() and not user.strip() and os.geteuid() == 0:
        log.warning(
            "This worker runs as root, and so do the programs that whoever may launch gives arguments to (%s): name "
            "another user in %s, or start the worker as one.",
            programs,
            USER_VARIABLE,
        )


def filled_arguments(template: str, fields: Mapping[str, Any]) -> list[str]:
    """Fill a template of arguments, one a line.

    Raises InvalidArguments where an item's value would be read as an option, and UnknownField.
    """
    found = list[str]()
    for line in filter(str.strip, template.splitlines()):
        argument = fill_text(line, fields)
        dashes = re.match("-*", line)
        assert dashes is not None
        is_given_by_item = PLACEHOLDER.match(line, dashes.end()) is not None
        if is_given_by_item and argument.startswith(f"{dashes[0]}-") and END_OF_OPTIONS not in found:
            raise InvalidArguments(
                f"The value for {line[:100]} begins with a dash, so the program would read it as an option. If it "
                f"supports that, put {END_OF_OPTIONS} on a line of its own before."
            )
        found.append(argument)
    return found


def _give_folder(folder: str, user: ProgramUser) -> None:
    try:
        shutil.chown(folder, user.uid, user.gid)
    except OSError as error:
        raise InvalidArguments(f"The worker may not run programs as {user.name}: {error.strerror}.") from None


async def start(given: Start) -> Process:
    """Start a program in a process group of its own. Raises InvalidArguments."""
    options: dict[str, Any] = {}
    if given.run_as is not None and not given.run_as.is_own:
        options = {"user": given.run_as.uid, "group": given.run_as.gid, "extra_groups": []}
        _give_folder(given.folder, given.run_as)
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *given.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=given.folder,
            env={**given.environment, "HOME": given.folder, "TMPDIR": given.folder},
            start_new_session=True,
            umask=int(os.environ.get(UMASK_VARIABLE, "-1"), 8),
            **options,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:  # the process may be running already
        with suppress(ValueError, OSError):
            await terminate(await starting)
        raise
    except (ValueError, OSError) as error:  # a NUL in an argument; no such program, or too many arguments
        raise InvalidArguments(f"{given.command[0]} cannot be started: {error}") from error


async def terminate(process: Process) -> None:
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
