"""canopy manage: Django's own command line, where there is no manage.py."""

from __future__ import annotations

from typing import Annotated

import typer

from dashboard.cli.django_setup import find_own_modules, with_django
from dashboard.cli.examples import examples

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Every argument is Django's, --help among them."""

EXAMPLES = examples(
    ("which commands are there?", "canopy manage help"),
    ("a Python shell with the models", "canopy manage shell"),
    ("a processor of your own to start from", "canopy manage newprocessor price_orders"),
)


def manage(
    context: typer.Context,
    arguments: Annotated[list[str] | None, typer.Argument(help="Django's command and its arguments.")] = None,
) -> None:
    """Run a command of Django: what manage.py does in a checkout."""
    find_own_modules()
    with_django()
    from django.core.management import execute_from_command_line

    execute_from_command_line(["canopy manage", *(arguments or ["help"]), *context.args])
