"""What the environment says before Django's settings exist: variables and their former names, and a private home."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from ipaddress import ip_address
from pathlib import Path

log = logging.getLogger(__name__)

PREFIX = "CANOPY_"

UMASK = "CANOPY_UMASK"
"""Environment: the umask with which the first process was started, in octal; programs of `command` have it again."""

OWN_FILES = (
    "canopy.sqlite3*",
    "first-login.json",
    "incoming",
    "logs",
    "open",
    "replaced-*",
    "run.lock",
    "secret-key*",
    "static",
    "static.collected",
    "static.lock",
    "temporal-ports.json",
    "temporal-ui-host",
    "temporal.sqlite3*",
    "uploads",
)
"""What Canopy makes in its home, as patterns of names."""

SHARED = 0o077
"""The bits of a mode that let others in."""


def variable(name: str) -> str:
    """Return the name of the variable to read for a setting: CANOPY_<name>, or <name> where only that is set.

    The names without the prefix were those of earlier releases. Other programs know them too.
    """
    if PREFIX + name in os.environ or name not in os.environ:
        return PREFIX + name
    log.warning("%s is now called %s: the next release does not read it under its former name.", name, PREFIX + name)
    return name


def cookie_name(name: str, *, is_secure: bool, path: str = "/") -> str:
    """Return a cookie's name: behind TLS with the prefix by which browsers refuse one that another host has set.

    Below a path it names the path too: a browser also sends cookies of the same name that the paths above have set.
    """
    if path != "/":
        name = f"{name}-{path.strip('/').replace('/', '-')}"
    if not is_secure:
        return name
    return f"__Host-{name}" if path == "/" else f"__Secure-{name}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on a host, as far as its name or address says."""
    if host.strip("[]") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def make_private(home: Path) -> None:
    """Make the home if there is none, and have everything that this process makes be its user's alone.

    What earlier releases made there is closed too. A home with files of others keeps its own mode.
    """
    os.environ.setdefault(UMASK, f"{os.umask(SHARED):o}")
    os.umask(SHARED)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(PermissionError):
        inside = list(home.iterdir())
        own = [path for path in inside if any(fnmatch(path.name, each) for each in OWN_FILES)]
        _close(own)
        if len(own) == len(inside):
            _close([home], deep=False)


def _close(paths: Iterable[Path], *, deep: bool = True) -> None:
    """Take others' rights away, also below folders that others may enter."""
    for path in paths:
        with suppress(OSError):  # it is gone by now, or somebody else's
            mode = path.lstat().st_mode
            if path.is_symlink() or not mode & SHARED:
                continue
            if deep and path.is_dir():
                _close(path.iterdir())
            path.chmod(mode & 0o7700)
