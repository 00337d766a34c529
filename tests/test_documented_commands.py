"""Every command that docs/, README.md and CONTRIBUTING.md name exists, with its options, variables and addresses."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
from django.core.management import get_commands, load_command_class
from django.urls import Resolver404, resolve

from dashboard.api.root import api
from dashboard.cli.main import app
from dashboard.documentation.variables import described, variables
from dashboard.health.probes import ROUTES
from tests.support.documented_commands import Block, blocks, blocks_of, commands, commands_of, pages
from tests.support.environment import ROOT
from tests.support.stack import temporal_binary

IN_EXAMPLES = {"TOKEN", "BATCH", "WORKER_PID", "SSL_CERT_FILE", "VALUE"}
"""Variables of examples, and of programs that are not ours."""

ORDINARY = {
    *(
        "cat",
        "cp",
        "less",
        "date",
        "df",
        "du",
        "echo",
        "export",
        "free",
        "fuser",
        "install",
        "journalctl",
        "kill",
        "openssl",
    ),
    *("pip", "printf", "ps", "psql", "redis-cli", "sleep", "sort", "sqlite3", "ssh", "stat", "systemctl"),
    *("git", "systemd-run", "tail", "test", "useradd", "docker", "kubectl", "nginx", "caddy", "promtool", "pre-commit"),
}
"""Programs that are not ours, and whose options are their manuals' business."""

IN_REPOSITORY = re.compile(r"(?:docs|tests|dashboard|orchestration|static|templates)/[\w./@*-]+")


def wrong(words: tuple[str, ...]) -> str:
    """Return what is wrong with a command; empty if nothing is."""
    program = Path(words[0]).name
    missing = [word for word in words if IN_REPOSITORY.fullmatch(word.split("::")[0]) and not _exists(word)]
    if missing:
        return f"There is no {missing}."
    if program.startswith("python"):
        return _wrong_python(words[1:])
    if checker := OURS.get(program):
        return checker(words[1:])
    return "" if program in ORDINARY else f"{program} is no program that is known here."


def _exists(word: str) -> bool:
    return any(ROOT.glob(word.split("::")[0]))


def _wrong_python(words: tuple[str, ...]) -> str:
    if words[:1] == ("-c",):
        ast.parse(words[1])
        return ""
    if words[:1] == ("manage.py",):
        return _wrong_manage(words[1:])
    if words[:2] == ("-m", "django"):
        return _wrong_manage(words[2:])
    if words[:1] == ("-m",):
        name = words[1].replace(".", "/")
        is_ours = any((ROOT / f"{name}{end}").exists() for end in (".py", "/__main__.py"))
        return "" if is_ours or words[1] in ("pytest", "venv", "pip") else f"There is no module {words[1]}."
    return f"python {words} runs nothing that is known here."


def _wrong_manage(words: tuple[str, ...]) -> str:
    owner = get_commands().get(words[0])
    if owner is None:
        return f"manage.py has no {words[0]}."
    command = load_command_class(owner, words[0]) if isinstance(owner, str) else owner
    known = command.create_parser("manage.py", words[0])._option_string_actions
    return _unknown([word for word in words[1:] if word.startswith("--")], set(known))


def _wrong_canopy(words: tuple[str, ...]) -> str:
    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="canopy")
    rest = list(words)
    while hasattr(command, "get_command") and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            return f"{context.command_path} has no {rest[0]}."
        command, context = found, found.context_class(found, info_name=rest.pop(0), parent=context)
    try:
        values, left, _ = command.make_parser(context).parse_args(rest)
    except Exception as error:  # a usage error of the click that typer brings
        return str(error) or type(error).__name__
    needed = [each for each in command.params if each.param_type_name == "argument" and each.required]
    absent = [each.name for each in needed if not values.get(str(each.name))]
    return f"{left} is too much." if left else f"{absent} is missing." if absent else ""


def _wrong_make(words: tuple[str, ...]) -> str:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    return _unknown([word for word in words if "=" not in word and not word.startswith("-")], targets)


def _wrong_temporal(words: tuple[str, ...]) -> str:
    parts = [word for word in words if not word.startswith("-")]
    names = parts[: next((n for n, word in enumerate(words) if word.startswith("-")), len(parts))]
    return _unknown([word for word in words if word.startswith("--")], _options_of_temporal(tuple(names)))


@cache
def _options_of_temporal(names: tuple[str, ...]) -> set[str]:
    shown = subprocess.run(
        [temporal_binary(), *names, "--help"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    return set(re.findall(r"--[\w-]+", shown)) if f"temporal {' '.join(names)} [flags]" in shown else set()


def _unknown(given: list[str], known: set[str]) -> str:
    unknown = [each for each in given if each.partition("=")[0] not in known]
    return f"{unknown} is not known." if unknown else ""


def _wrong_curl(words: tuple[str, ...]) -> str:
    address = next((word for word in words if word.startswith(("$CANOPY_URL", "http"))), "")
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if {"-d", "-F"} & set(words) else "GET"
    path = urlsplit(re.sub(r"^\$CANOPY_URL", "http://host", address)).path or "/"
    if path.startswith("/api/v1/") and path not in ("/api/v1/docs", "/api/v1/openapi.json"):
        known = api.get_openapi_schema(path_prefix="/api/v1/")["paths"]
        fits = [each for each in known if re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", each), path)]
        return "" if any(method.lower() in known[each] for each in fits) else f"The API has no {method} {path}."
    if path in ROUTES:
        return ""
    try:
        resolve(path)
    except Resolver404:
        return f"There is no page {path}."
    return ""


OURS: dict[str, Callable[[tuple[str, ...]], str]] = {
    "canopy": _wrong_canopy,
    "curl": _wrong_curl,
    "make": _wrong_make,
    "temporal": _wrong_temporal,
    "systemd-run": lambda words: wrong(words[next(n for n, word in enumerate(words) if word.startswith("/")) :]),
}


def test_every_command_of_the_documentation_exists_as_it_is_written() -> None:
    found = [
        f"{each.place}: {' '.join(each.words)}: {why}"
        for each in commands()
        if each.words and (why := wrong(each.words))
    ]
    assert not found, "\n".join(found)


def test_every_variable_that_a_command_sets_or_uses_is_described() -> None:
    known = {each.code_name for each in variables()} | set(described().internal) | IN_EXAMPLES
    used = {
        (each.place, name)
        for each in commands()
        for name in {*each.variables, *re.findall(r"\$\{?([A-Z]\w+)", " ".join(each.words))}
    }
    assert {(place, name) for place, name in used if name not in known} == set()


def test_blocks_are_fenced_and_say_what_they_are() -> None:
    """What is only indented looks like a block, and would not be tried."""
    typed = re.compile(r"^ *(?:make|canopy|curl|\.venv/bin/\w+|python|pip|temporal) \w", re.MULTILINE)
    assert [block.place for block in blocks() if not block.kind and typed.search(block.text)] == []
    indented = re.compile(rf"\n\n {{4}}{typed.pattern[3:]}")
    assert [page.name for page in pages() if indented.search(_unfenced(page))] == []


def _unfenced(page: Path) -> str:
    text = page.read_text()
    for block in blocks_of(page, text):
        text = text.replace(block.text, "")
    return text


@pytest.mark.parametrize(
    "command",
    [
        "canopy serve",
        "canopy worker --grease 3",
        "canopy token revoke",
        "canopy migrate now",
        "make everything",
        "python manage.py migrated",
        "python manage.py migrate --all",
        "python -m tests.nothing",
        "curl $CANOPY_URL/api/v1/batch",
        "curl -X DELETE $CANOPY_URL/api/v1/batches",
        "curl $CANOPY_URL/healthy",
        "temporal workflow explode --workflow-id x",
        "temporal workflow show --workflow x",
        "frobnicate",
        "install docs/deployment/nothing /etc",
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    assert [bool(wrong(each.words)) for each in commands_of(command, "here")] == [True]


def test_commands_are_found_wherever_they_stand() -> None:
    script = """A=1 export_me "$(one --x "a b")" | two > file 2>/dev/null && three  # not four
until five; do six; done
test $(($(seven) - 1)) -lt 3
export B=2 C=3
eight \\
  nine
"""
    found = [(each.words, sorted(each.variables)) for each in commands_of(script, "here")]
    assert sorted(words for words, _ in found if words) == sorted(
        [
            ("one", "--x", "a b"),
            ("export_me", "VALUE"),
            ("two",),
            ("three",),
            ("five",),
            ("six",),
            ("seven",),
            ("test", "VALUE", "-lt", "3"),
            ("eight", "nine"),
        ]
    )
    assert sorted(name for _, names in found for name in names) == ["A", "B", "C"]
    text = "Text\n\n<!-- tried -->\n```sh\nmake run\n```\n\n"
    text += "1. In a list:\n\n    ```console\n    $ make test\n    done\n    ```\n"
    told = list(blocks_of(ROOT / "README.md", text))
    assert [(each.script.strip(), each.is_tried, each.line) for each in told] == [
        ("make run", True, 3),
        ("make test", False, 10),
    ]


def test_units_of_systemd_are_accepted(tmp_path: Path) -> None:
    """By systemd itself where it is installed, as Debian does."""
    folder = ROOT / "docs" / "deployment" / "systemd"
    program = shutil.which("systemd-analyze")
    assert program, "Install Debian's systemd."
    for unit in folder.glob("canopy*"):
        text = unit.read_text()
        started = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
        assert [why for line in started if (why := wrong(tuple(line.replace("%i", "8000").split())))] == []
        (tmp_path / unit.name).write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    units = sorted(str(path) for path in tmp_path.iterdir())
    checked = subprocess.run([program, "verify", *units], capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stderr.strip()) == (0, "")


def _tried() -> list[Block]:
    return [block for block in blocks() if block.is_tried]


def test_blocks_are_tried() -> None:
    assert len(_tried()) > 15
