"""command: real programs, run without a shell, restricted to the allow-list, terminated with their process group."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from dashboard.forms.pydantic_forms import form_of
from orchestration.processors.builtin import command
from orchestration.processors.catalogue import CannotLoad, get_processor, processors
from orchestration.testing import process_items
from tests.support.programs import Program, run
from tests.support.waiting import until


def test_it_is_not_registered_unless_the_installation_allows_a_program() -> None:
    assert "command" not in processors()


async def test_a_program_has_the_umask_of_who_started_canopy(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_UMASK", "27")
    program("umask")
    (outcome,) = await run(1)
    assert outcome.result["output"].strip() == "0027"


async def test_a_field_stays_within_its_argument(program: Program) -> None:
    program('for each in "$@"; do echo "<$each>"; done; echo "$CANOPY_ITEM_KEY" >&2')
    rubbish = "a b; rm -rf / $(id) `id` \"'* \n next"
    (outcome,) = await run(rubbish, arguments="--\n{value}\nfixed {index}")
    assert outcome.result["output"] == f"<-->\n<{rubbish}>\n<fixed 0>\n"
    assert outcome.result["errors"] == "0\n"
    assert outcome.result["exit_code"] == 0


async def test_a_program_gets_its_input_but_none_of_the_workers_secrets(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_SECRET_PIN", "123456")
    program("cat | tr 0-9 a-j; env | grep -c CANOPY_SECRET; pwd; touch left-over")
    (outcome,) = await run("x", standard_input="pin {secret:PIN}\n", expected_codes="0,1")
    first, number, folder, *_ = outcome.result["output"].splitlines()
    assert (first, number) == ("pin bcdefg", "0")
    assert not await asyncio.to_thread(os.path.exists, folder)
    (outcome,) = await run("x", standard_input="{secret:PIN}", arguments="")
    program("cat")
    (echoed,) = await run("x", standard_input="{secret:PIN}", arguments="")
    assert echoed.result["output"] == "•••"


async def test_an_unexpected_exit_code_and_a_signal_fail_with_the_last_line_of_output(program: Program) -> None:
    program('echo first; echo "no such file" >&2; exit 3')
    (failed,) = await run("x")
    assert (failed.error_type, failed.error) == ("UnexpectedExit", "Exited with 3: no such file")
    (expected,) = await run("x", expected_codes="0, 3")
    assert expected.result["exit_code"] == 3
    program("kill -9 $$")
    (killed,) = await run("x")
    assert killed.error == "Ended by SIGKILL."


async def test_the_last_bytes_of_output_are_kept(program: Program) -> None:
    program("head -c 3000000 /dev/zero | tr '\\0' x; echo END")
    (outcome,) = await run("x", output_kept=10)
    assert outcome.result["output"] == "xxxxxxEND\n"
    (nothing,) = await run("x", output_kept=0)
    assert nothing.result["output"] == ""


async def test_a_program_need_not_read_its_input(program: Program) -> None:
    program("exit 0")
    (outcome,) = await run("x", standard_input="y" * 90_000)
    assert outcome.error == ""


@pytest.mark.parametrize("how", ["time limit", "item's timeout", "cancel"])
async def test_a_program_is_terminated_with_its_process_group(program: Program, tmp_path: Path, how: str) -> None:
    program(f"sleep 300 & echo $! > {tmp_path}/pid; trap '' TERM; sleep 300")

    async def started() -> int:
        text = (tmp_path / "pid").read_text() if (tmp_path / "pid").exists() else ""
        return int(text or 0)

    limits: dict[str, Any] = {"timeout": 3} if how == "time limit" else {}
    items, parameters = [{"value": "x"}], {"program": "mine", **limits}
    plan = {"item_attempts": 1, "item_timeout": 3 if how == "item's timeout" else 60}
    running = asyncio.create_task(process_items(get_processor("command").function, items, parameters, **plan))
    pid = await until(started, "the program has started another one")
    if how == "cancel":
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    else:
        (outcome,) = await running
        # On a busy machine the start of a program takes so long that the watchdog has something to add.
        assert outcome.error.startswith(("Timed out after 3 s and was killed.", "No result within 3 s."))

    async def gone() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    await until(gone, "what it had started is gone")


async def test_a_program_canceled_while_it_starts_is_terminated(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = f"301.{secrets.randbelow(10**9)}"  # no other process of the machine sleeps as long
    program(f"exec sleep {seconds}")
    start, is_started, is_canceled = asyncio.create_subprocess_exec, asyncio.Event(), asyncio.Event()

    async def slow(*given: Any, **options: Any) -> Any:
        process = await start(*given, **options)
        is_started.set()
        await is_canceled.wait()
        return process

    monkeypatch.setattr("asyncio.create_subprocess_exec", slow)
    running = asyncio.create_task(
        process_items(get_processor("command").function, [{"value": "x"}], {"program": "mine"})
    )
    await is_started.wait()
    running.cancel()
    is_canceled.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", seconds]]


async def test_programs_not_allowed_and_invalid_arguments_are_rejected(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValidationError, match="Input should be 'mine' or 'other'"):
        await run("x", program="/bin/sh")
    form = form_of(get_processor("command").parameters_model)
    assert [value for value, _ in form.base_fields["program"].choices] == ["mine", "other"]  # type: ignore[attr-defined]
    (nul,) = await run("a\x00b")
    assert nul.error_type == "InvalidArguments"
    (unknown,) = await run("x", arguments="{nope}")
    assert unknown.error_type == "UnknownField"
    monkeypatch.setenv("CANOPY_COMMANDS", "other=/bin/false")
    (withdrawn,) = await run("x")
    assert withdrawn.error == "'mine' is not allowed on this worker (CANOPY_COMMANDS)."
    monkeypatch.setenv("CANOPY_COMMANDS", f"mine={os.sep}nowhere/at/all")
    (missing,) = await run("x")
    assert "cannot be started" in missing.error


@pytest.mark.parametrize("wrong", ["ls", "ls=bin/ls", "=/bin/ls", "l s=/bin/ls"])
def test_a_malformed_allow_list_is_reported(wrong: str) -> None:
    with pytest.raises(CannotLoad, match="does not have the form name=/absolute/path"):
        command.allowed_commands(wrong)
    assert command.exit_codes("0, 255") == {0, 255}
    for code in ("", "256", "-1", "x"):
        with pytest.raises(ValueError, match="is not an exit code"):
            command.exit_codes(code)
