"""Django, for the commands that need it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dashboard.cli.refusal import Refused
from orchestration.extras import how_to_install


def with_django() -> None:
    """Set up Django, unless it is. Raises Refused where it is not installed, or a setting cannot be used."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    try:
        import django
        from django.apps import apps
        from django.core.exceptions import ImproperlyConfigured
    except ModuleNotFoundError:
        raise Refused(_missing("Django")) from None
    if apps.ready:
        return
    try:
        django.setup()
    except ModuleNotFoundError as error:
        raise Refused(_missing(str(error.name))) from None
    except PermissionError as error:
        raise Refused(f"{error}. Set CANOPY_HOME to a folder that this user may write to.") from None
    except (ImproperlyConfigured, OSError, ValueError) as error:
        raise Refused(f"The settings cannot be used: {error}") from None


@contextmanager
def refusing() -> Iterator[None]:
    """Raise Refused for what Canopy says about a start that cannot be, and about a database that cannot be used."""
    from django.db import DatabaseError

    from orchestration.startup import CannotStart

    try:
        yield
    except CannotStart as error:
        raise Refused(str(error)) from None
    except DatabaseError as error:
        raise Refused(f"The database cannot be used: {error}") from None


def require_migrated() -> None:
    """Set up Django, and raise Refused unless the database has the tables of this release."""
    with_django()
    from django.db import connections

    from dashboard.database import migration_state

    with refusing():
        migration_state.require_migrated()
    connections.close_all()


def call(command: str, *arguments: str, **options: Any) -> None:
    """Set up Django and run one of its commands. Raises Refused for what the command refuses, with status 1."""
    with_django()
    from django.core.management import CommandError, call_command

    try:
        with refusing():
            call_command(command, *arguments, **options)
    except CommandError as error:
        raise Refused(str(error), exit_status=error.returncode) from None


def find_own_modules() -> None:
    """Have Python find modules with processors in the current folder, after those that are installed."""
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109  sys.path has strings
        sys.path.append(here)


def _missing(package: str) -> str:
    return f"This command needs the dashboard, and {package} is not installed. Run: {how_to_install('dashboard')}"
