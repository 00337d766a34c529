"""manage.py first_login: creates an operator account with an API token, if there are no accounts."""

from __future__ import annotations

import os
import secrets
import stat
from json import dump, dumps
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandParser, OutputWrapper
from django.db import connection, transaction

from dashboard.accounts.api_tokens import create_token
from dashboard.accounts.permissions import OPERATORS
from dashboard.accounts.sessions import password_is_first
from dashboard.database.one_process import one_process

FIRST_LOGIN = "first-login.json"
USERNAME = "operator"


class Command(BaseCommand):
    """Create the first account, unless there are accounts."""

    help = (
        f"Create an operator account and an API token, store both in CANOPY_HOME/{FIRST_LOGIN}, and print them as JSON "
        "where they do not end up in a log."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --json."""
        parser.add_argument("--json", action="store_true", help="print the login wherever the output goes")

    def handle(self, *args: Any, json: bool = False, **options: Any) -> None:
        """Create the account, and print its login to whoever reads the output; elsewhere it would be kept in a log."""
        login = make_first_login()
        if login is None:
            self.stdout.write("There are already accounts.")
        elif json or is_terminal(self.stdout) or is_read_by_a_program(self.stdout):
            self.stdout.write(dumps(login))
        else:
            self.stdout.write(f"The first login is in {settings.HOME / FIRST_LOGIN}.")


def is_terminal(output: OutputWrapper) -> bool:
    """Whether a command's output is read by a person as it comes, and kept nowhere."""
    return output.isatty() and not os.environ.get("JOURNAL_STREAM")


def is_read_by_a_program(output: OutputWrapper) -> bool:
    """Whether a command's output goes through a pipe, as in `login=$(...)`, and not into the log of a container."""
    try:
        its_file = os.fstat(output.fileno())
    except OSError:  # no file, as in a test
        return False
    log_of_container = Path("/proc/1/fd/1")  # only readable where the first process is one's own, as in a container
    is_kept = os.access(log_of_container, os.R_OK) and os.path.samestat(its_file, log_of_container.stat())
    return stat.S_ISFIFO(its_file.st_mode) and not is_kept


def make_first_login() -> dict[str, str] | None:
    """Create the first account and write its login to a file of mode 600; None if there are accounts.

    One process at a time: there is one first account, however many start with an empty database.
    """
    with one_process(connection, "first-login", lambda: None):
        return _make_first_login()


@transaction.atomic
def _make_first_login() -> dict[str, str] | None:
    if User.objects.exists():
        return None
    login = {"username": USERNAME, "password": secrets.token_urlsafe(16)}
    person = User.objects.create_user(**login)
    person.groups.add(Group.objects.get_or_create(name=OPERATORS)[0])
    password_is_first(person)
    login["token"] = create_token(person, "first login")
    path = settings.HOME / FIRST_LOGIN
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        dump(login, file, indent=2)
    return login
