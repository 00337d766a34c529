"""A second virtual environment, as a machine has it that runs a worker alone: what pyproject.toml names, no extras."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.environment import ROOT

FOLDERS = ("orchestration", "dashboard", "templates", "static", "docs")
FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "Procfile")


def make_environment(venv: Path) -> None:
    """Make the environment, and install the project into it.

    Its dependencies are those of this environment, at the same versions, without asking an index once more.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=300)
    paths = {"base": str(venv), "platbase": str(venv)}
    site = Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))
    for each in _dependencies():
        _take(each, site)
    _install_project(venv)


def _install_project(venv: Path) -> None:
    source = venv.parent / "source"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin/python"), "install", "--no-deps", "--no-compile"]
    subprocess.run([*pip, "--quiet", "--disable-pip-version-check", str(source)], check=True, timeout=400)
    shutil.rmtree(source)


def _dependencies() -> Iterator[Distribution]:
    """Yield what the project needs without extras, and what that needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted, seen = [Requirement(text) for text in project["dependencies"]], set[tuple[str, str]]()
    while wanted:
        requirement = wanted.pop()
        found = distribution(requirement.name)
        assert requirement.specifier.contains(found.version, prereleases=True), f"{requirement}, not {found.version}"
        for extra in {"", *requirement.extras} - {at for name, at in seen if name == canonicalize_name(found.name)}:
            seen.add((canonicalize_name(found.name), extra))
            below = [Requirement(text) for text in found.requires or ()]
            wanted += [each for each in below if each.marker is None or each.marker.evaluate({"extra": extra})]
        yield found


def _take(package: Distribution, site: Path) -> None:
    """Link the files of a package, or copy them to another device."""
    for file in package.files or ():
        target = site / file
        if ".." in file.parts or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file.locate(), target)
        except OSError:
            shutil.copy2(file.locate(), target)
