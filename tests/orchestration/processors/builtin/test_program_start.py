"""What programs get: no secret in their arguments, no option from an item, another user, masked output."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestration.processors.builtin.program_start import warn_of_programs_as_root
from orchestration.processors.catalogue import get_processor
from orchestration.testing import process_items
from tests.support.programs import Program, run


@pytest.mark.parametrize("arguments", ["--token\n{secret:PIN}", "--token={secret:PIN}"])
def test_a_secret_in_arguments_is_refused(program: Program, arguments: str) -> None:
    with pytest.raises(ValidationError, match="list of processes"):
        get_processor("command").bind({"program": "mine", "arguments": arguments})


async def test_a_secret_is_given_in_the_environment_where_the_installation_lets_batches_set_it(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_SECRET_PIN", "123456\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-worker")
    program('echo "$PIN" | tr 0-9 a-j; env')
    given = {"environment": {"PIN": "{secret:PIN}"}, "arguments": ""}
    for name in ("PIN", "LD_PRELOAD", "PATH"):
        (refused,) = await run("x", **given | {"environment": {name: "/tmp/x"}})
        assert refused.error == f"Batches may not set {name} on this worker (CANOPY_COMMANDS_ENVIRONMENT)."
    monkeypatch.setenv("CANOPY_COMMANDS_ENVIRONMENT", "PIN, REGION")
    (outcome,) = await run("x", **given)
    first, *variables = outcome.result["output"].splitlines()
    assert first == "bcdefg"
    assert "PIN=•••" in variables
    assert "of-the-worker" not in outcome.result["output"]
    assert f"HOME={os.environ.get('HOME', 'none')}" not in variables


async def test_a_secret_goes_to_the_programs_that_the_installation_names(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_SECRET_PIN", "123456")
    monkeypatch.setenv("CANOPY_SECRET_PIN__PROGRAMS", "other")
    program("cat; touch was-started")
    (refused,) = await run("x", standard_input="{secret:PIN}", arguments="")
    assert refused.error_type == "SecretNotAllowed"
    assert "may not go to the program mine" in refused.error
    monkeypatch.setenv("CANOPY_SECRET_PIN__PROGRAMS", "other,mine")
    (allowed,) = await run("x", standard_input="{secret:PIN}", arguments="")
    assert allowed.result["output"] == "•••"


@pytest.mark.parametrize("kept", range(1, 40, 3))
async def test_output_is_masked_before_it_is_cut(program: Program, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    value = "abcdefghijklmnopqrstuvwxyz"
    monkeypatch.setenv("CANOPY_SECRET_LETTERS", value)
    program('read -r x; printf "%s-%s/" "$x" "$x"; printf "%s-%s/" "$x" "$x" >&2')
    (outcome,) = await run("x", standard_input="{secret:LETTERS}\n", arguments="", output_kept=kept)
    for output in (outcome.result["output"], outcome.result["errors"]):
        assert len(output.encode()) <= kept + 4
        assert not re.search("[a-z]", output)


async def test_an_error_is_masked_before_it_is_cut(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_SECRET_LETTERS", "abcdefghijklmnopqrstuvwxyz")
    program("read -r x; head -c 490 /dev/zero | tr '\\0' .; echo \"$x\"; exit 1")
    (outcome,) = await run("x", standard_input="{secret:LETTERS}\n", arguments="")
    assert "..•••" in outcome.error
    assert "abc" not in outcome.error


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ("{value}", "--delete"),
        ("{empty}{value}", "-rf"),
        ("-{value}", "-delete"),
        ("--x\n{value}", "-"),
        ("{value}", "--"),
    ],
)
async def test_a_value_of_an_item_never_becomes_an_option(program: Program, arguments: str, value: str) -> None:
    program('echo "$@"')
    items = [{"value": value, "empty": ""}, {"value": "a-b", "empty": ""}]
    parameters = {"program": "mine", "arguments": arguments}
    refused, fine = await process_items(get_processor("command").function, items, parameters, item_attempts=1)
    assert refused.error_type == "InvalidArguments"
    assert "begins with a dash" in refused.error
    assert fine.error == ""


@pytest.mark.parametrize("arguments", ["--\n{value}", "--name={value}", "-n{value}", "x{value}"])
async def test_a_value_that_begins_with_a_dash_is_given_where_it_is_no_option(program: Program, arguments: str) -> None:
    program('for each in "$@"; do echo "$each"; done')
    (given,) = await run("-rf", arguments=arguments)
    assert given.result["output"] == arguments.replace("{value}", "-rf") + "\n"


@pytest.fixture
def public_program(program: Program, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The allowed program in a folder that other users may enter, which pytest's own are not."""
    script = Path(tempfile.mkdtemp(prefix="canopy-test-"), "program")
    script.parent.chmod(0o755)
    script.write_text('#!/bin/sh\nid -u; id -G; echo "$HOME"; pwd; touch mine; cat /proc/$PPID/environ | wc -c\n')
    script.chmod(0o755)
    monkeypatch.setenv("CANOPY_COMMANDS", f"mine={script}")
    yield
    shutil.rmtree(script.parent)


async def test_programs_run_as_the_user_that_the_installation_names(
    public_program: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_COMMANDS_USER", "no-such-user")
    (unknown,) = await run("x", arguments="")
    assert "There is no user 'no-such-user'" in unknown.error
    monkeypatch.setenv("CANOPY_COMMANDS_USER", "root")
    (refused,) = await run("x", arguments="")
    assert "not run as root" in refused.error
    monkeypatch.setenv("CANOPY_COMMANDS_USER", "nobody")
    (outcome,) = await run("x", arguments="")
    if os.geteuid() != 0:
        assert "may not run programs as nobody" in outcome.error
        return
    nobody = pwd.getpwnam("nobody")
    user, groups, home, folder, environment = outcome.result["output"].splitlines()
    assert (user, groups, home) == (str(nobody.pw_uid), str(nobody.pw_gid), folder)
    assert environment == "0", "the worker's environment cannot be read"


@pytest.mark.parametrize(
    ("programs", "user", "own", "warns"),
    [
        ("mine=/bin/true", "", 0, True),
        ("mine=/bin/true", "nobody", 0, False),
        ("mine=/bin/true", "", 1000, False),
        ("", "", 0, False),
    ],
)
def test_programs_that_would_run_as_root_are_warned_about(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, programs: str, user: str, own: int, warns: bool
) -> None:
    monkeypatch.setenv("CANOPY_COMMANDS", programs)
    monkeypatch.setenv("CANOPY_COMMANDS_USER", user)
    monkeypatch.setattr(os, "geteuid", lambda: own)
    warn_of_programs_as_root()
    assert ("CANOPY_COMMANDS_USER" in caplog.text) is warns
