""".pre-commit-config.yaml: its hooks run what `make check` runs, in the same order."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = " $(TEMPLATES)"


def make_check() -> list[str]:
    """Return the commands of `make check`, with the Makefile's variables filled in, those of templates aside."""
    makefile = (ROOT / "Makefile").read_text()
    variables = dict(re.findall(r"^(\w+) := (.*)$", makefile, re.MULTILINE))
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    commands = recipe[1]
    while any(f"$({name})" in commands for name in variables):
        commands = re.sub(r"\$\((\w+)\)", lambda found: variables.get(found[1], found[0]), commands)
    return [line.strip() for line in commands.splitlines()]


def test_hooks_run_what_make_check_runs() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    hooks = []
    for hook in repository["hooks"]:
        assert hook["language"] == "system", hook["id"]
        takes_files = hook.get("pass_filenames", True)
        hooks.append(hook["entry"].removeprefix("env ") + (TEMPLATES if takes_files else ""))
    assert hooks == make_check()
