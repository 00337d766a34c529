"""What is installed: exact versions with hashes of their files, no tool of development in production, no addresses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-tools.txt")
PINNED = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[\w.+!-]+)(?: ; (?P<marker>.+?))?(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)"
)
NAME = re.compile(r"[\w.-]+")


def normal(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, str]:
    """Return the versions of a file with hashes; each of its lines has some."""
    lines = (ROOT / name).read_text().replace("\\\n   ", "").strip().splitlines()
    found = [PINNED.fullmatch(" ".join(line.split())) for line in lines]
    assert all(found), [line[:80] for line, match in zip(lines, found, strict=True) if not match]
    return {normal(match["name"]): match["version"] for match in found if match}


def constrained() -> dict[str, str]:
    """Return the versions of constraints.txt."""
    pairs = (line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    return {normal(name): version for name, version in pairs}


def extra(name: str) -> set[str]:
    """Return what an extra of pyproject.toml names itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][name] if name else project["dependencies"]
    return {normal(found[0]) for line in lines if (found := NAME.match(line))}


@pytest.mark.parametrize("name", LOCKS)
def test_every_file_that_is_installed_has_a_hash_and_no_address(name: str) -> None:
    assert locked(name)
    assert "://" not in (ROOT / name).read_text()


def test_the_files_with_hashes_have_the_versions_of_the_constraints() -> None:
    """`make lock` writes them anew."""
    versions, everything = constrained(), locked("requirements-dev.txt")
    assert {name: version for name, version in everything.items() if versions.get(name, version) != version} == {}
    assert set(versions) <= set(everything)
    assert extra("") | extra("dashboard") | extra("embedded") | extra("s3") | extra("dev") <= set(everything)


def test_production_has_no_tool_of_development() -> None:
    production = locked("requirements.txt")
    assert extra("") | extra("dashboard") | extra("s3") <= set(production)
    encodes_requests = {"requests"}  # of traces, too
    assert not set(production) & (extra("dev") - extra("") - extra("dashboard") - encodes_requests)
    assert production.items() <= locked("requirements-dev.txt").items()
