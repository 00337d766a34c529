"""Virtual environments into which the wheel is installed, outside of the checkout."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.environment import ROOT, SHARED
from tests.support.prepared import make_once

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def make_environment(venv: Path) -> None:
    """Make the environment, and install the project into it.

    Its dependencies are those of this environment, at the same versions, without asking an index once more.
    """
    site = _empty_environment(venv)
    for each in _dependencies():
        _take(each, site)
    _install(venv)


def make_installation(venv: Path) -> None:
    """Make an environment with the project's wheel, which finds the packages of all extras in this environment.

    A path in a .pth file brings packages, and not the editable installation of the checkout.
    """
    site = _empty_environment(venv)
    (site / "packages.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    _install(venv)


def _empty_environment(venv: Path) -> Path:
    """Make a virtual environment without anything, and return the folder of its packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=300)
    paths = {"base": str(venv), "platbase": str(venv)}
    return Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))


@functools.cache
def wheel() -> Path:
    """Return the wheel, built from the source distribution, which is built from the checkout: once for all tests."""
    folder = SHARED / "dist"
    make_once("dist", lambda: _build(folder))
    (found,) = folder.glob("*.whl")
    return found


def _build(folder: Path) -> None:
    _hatch("sdist", ROOT, folder)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    _hatch("wheel", folder / source.name.removesuffix(".tar.gz"), folder)


def _hatch(target: str, source: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def _install(venv: Path) -> None:
    python = str(venv / "bin/python")
    pip = [*PIP, "--python", python, "install", "--no-deps", "--no-index", "--no-compile", str(wheel())]
    subprocess.run(pip, check=True, capture_output=True, timeout=400)


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
