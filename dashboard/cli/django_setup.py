"""Django, for the commands that need it."""

from __future__ import annotations

import os
import sys
from typing import Any

from dashboard.cli.refusal import Refused
from orchestration.extras import how_to_install


def with_django() -> None:
    """Set up Django. Raises Refused where it is not installed, or a setting cannot be used."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    try:
        import django
        from django.core.exceptions import ImproperlyConfigured
    except ModuleNotFoundError:
        raise Refused(_missing("Django")) from None
    try:
        django.setup()
    except ModuleNotFoundError as error:
        raise Refused(_missing(str(error.name))) from None
    except PermissionError as error:
        raise Refused(f"{error}. Set CANOPY_HOME to a folder that this user may write to.") from None
    except (ImproperlyConfigured, OSError, ValueError) as error:
        raise Refused(f"The settings cannot be used: {error}") from None


def call(command: str, *arguments: str, **options: Any) -> None:
    """Set up Django and run one of its commands. Raises Refused for what the command refuses, with status 1."""
    with_django()
    from django.core.management import CommandError, call_command

    try:
        call_command(command, *arguments, **options)
    except CommandError as error:
        raise Refused(str(error), exit_status=error.returncode) from None


def find_own_modules() -> None:
    """Have Python find modules with processors in the current folder, after those that are installed."""
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109  sys.path has strings
        sys.path.append(here)


def _missing(package: str) -> str:
    return f"This command needs the dashboard, and {package} is not installed. Run: {how_to_install('dashboard')}"
