"""The `canopy` command: what it loads, and what it says where it cannot work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dashboard.cli import token, user
from dashboard.cli.main import app
from dashboard.models import TokenKind, TokenRole
from tests.support.environment import ROOT

BLOCKED = """
import sys
for name in {packages}:
    sys.modules[name] = None
from dashboard.cli.main import main
sys.argv[1:] = {arguments}
main()
"""


def canopy(
    folder: Path, *arguments: str, without: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process, in which these packages cannot be imported."""
    code = BLOCKED.format(packages=without, arguments=list(arguments))
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env={**own, **(env or {})}, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def commands(group: typer.Typer) -> list[str]:
    """Return the names of the commands of a group."""
    named = [each.name or (each.callback.__name__ if each.callback else "") for each in group.registered_commands]
    return [*named, *(each.name or "" for each in group.registered_groups)]


def test_the_help_of_every_command_needs_no_package_of_the_dashboard(tmp_path: Path) -> None:
    without = ("django", "channels", "uvicorn", "honcho", "redis", "psycopg", "temporalio")
    shown = canopy(tmp_path, "--help", without=without)
    assert shown.returncode == 0, shown.stderr
    for command in (*(each.name for each in app.registered_commands), *(each.name for each in app.registered_groups)):
        assert f"\n  {command} " in shown.stdout
    assert list(tmp_path.iterdir()) == []


OF_GROUPS = [(name, each) for name, group in (("user", user.app), ("token", token.app)) for each in commands(group)]
WITH_HELP = [(), *((name,) for name in commands(app) if name != "manage"), *OF_GROUPS]  # manage's is Django's own


@pytest.mark.parametrize("path", WITH_HELP, ids="-".join)
def test_help_is_whole_and_names_what_to_give(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], prog_name="canopy").stdout
    assert "..." not in shown.replace("[ARGS]...", ""), "a summary is cut off"
    assert not re.search(r"--[a-z-]+ <(str|int|float|path|list|.* range)\b|\{[a-z_]+\}", shown), (
        "a value without a name"
    )
    assert "-h, --help" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell: str, tmp_path: Path) -> None:
    """`--show-completion` finds the shell out, which a test cannot have: this is what the shell then runs."""
    words = {"bash": {"COMP_WORDS": "canopy w", "COMP_CWORD": "1"}}.get(shell, {"_TYPER_COMPLETE_ARGS": "canopy w"})
    asked = {"_CANOPY_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args", **words}
    assert re.findall(r"\b(?:web|worker)\b(?=$|\s|\")", canopy(tmp_path, env=asked, without=("django",)).stdout)
    script = canopy(tmp_path, env={"_CANOPY_COMPLETE": f"source_{shell}"}, without=("django",)).stdout
    assert "_CANOPY_COMPLETE" in script


@pytest.mark.parametrize("command", [("run",), ("web",), ("worker",), ("migrate",), ("token", "list")])
def test_without_its_extra_a_command_says_what_to_install(command: tuple[str, ...], tmp_path: Path) -> None:
    refused = canopy(tmp_path, *command, without=("django",))
    assert refused.returncode == 2
    assert refused.stderr.strip().endswith("Run: pip install 'canopy-fanout[dashboard]'")
    assert refused.stderr.startswith("canopy: ")
    assert "Django" in refused.stderr


def test_a_token_says_that_a_worker_is_remote(tmp_path: Path) -> None:
    for arguments, env, said in [
        (["--queue", "heavy"], {"CANOPY_TOKEN": "canopy_x"}, "CANOPY_URL is not set."),
        (["--queue", "heavy", "--remote"], {"CANOPY_URL": "http://127.0.0.1:1"}, "CANOPY_TOKEN is not set."),
        ([], {"CANOPY_URL": "http://127.0.0.1:1", "CANOPY_TOKEN": "canopy_x"}, "Name the task queues"),
        (["--queue", "canopy"], {"CANOPY_URL": "http://127.0.0.1:1", "CANOPY_TOKEN": "canopy_x"}, "is reserved"),
        (["--local"], {"CANOPY_URL": "http://127.0.0.1:1", "CANOPY_TOKEN": "canopy_x"}, "canopy-fanout[dashboard]"),
    ]:
        refused = canopy(tmp_path, "worker", *arguments, without=("django",), env=env)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr


def test_a_setting_that_cannot_be_used_is_named_and_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    for env in ({"CANOPY_HOME": str(tmp_path / "taken")}, {"CANOPY_MAX_ITEMS": "many"}):
        refused = canopy(tmp_path, "token", "list", env={"CANOPY_HOME": str(tmp_path / "home"), **env})
        assert refused.returncode == 2
        assert (refused.stderr.startswith("canopy: "), "Traceback" in refused.stderr) == (True, False)
        assert "taken" in refused.stderr or "many" in refused.stderr
    bucket = canopy(tmp_path, "token", "list", without=("obstore",), env={"CANOPY_UPLOADS": "s3://uploads"})
    assert (bucket.returncode, bucket.stderr.endswith("Run: pip install 'canopy-fanout[s3]'\n")) == (2, True)


def test_kinds_and_roles_of_tokens_are_the_models() -> None:
    assert [each.value for each in token.Kind] == TokenKind.values
    assert {each.value for each in token.Role} == set(TokenRole.values) - {TokenRole.OWNER}
