"""canopy user: accounts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from dashboard.cli.django_setup import refusing, with_django
from dashboard.cli.examples import examples
from dashboard.cli.refusal import Refused

app = typer.Typer(help="Create accounts, list them, and change role and password.", no_args_is_help=True)


class Role(StrEnum):
    """What an account may do: the roles of `dashboard.accounts.people`, which needs Django."""

    VIEWER = "viewer"
    OPERATOR = "operator"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Username.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]
EvenLast = Annotated[bool, typer.Option("--force", help="Even if nobody else is an operator.")]


@app.command(
    epilog=examples(
        ("with a random password, which is printed", "canopy user create anna --role operator"),
        ("with a password from a file", "canopy user create anna --password-stdin < password.txt"),
    )
)
def create(
    name: Name,
    role: Annotated[
        Role, typer.Option(help="Operators launch batches and act on them, viewers only look.")
    ] = Role.VIEWER,
    password_stdin: FromInput = False,
) -> None:
    """Create an account.

    Prints a random password, this once, unless one is given. Where other machines can reach the dashboard, it has to be
    changed at the first log-in.
    """
    given = _read_password() if password_stdin else ""
    with _accounts():
        from dashboard.accounts.people import create_account

        password = create_account(name, role.value, given)
    _print_password(name, password, given)


@app.command(name="list")
def list_users() -> None:
    """List accounts: name, role, whether it is active, last log-in."""
    with _accounts():
        from dashboard.accounts.people import accounts

        for each in accounts():
            last = each.last_login.isoformat(timespec="minutes") if each.last_login else "never"
            typer.echo(f"{each.username}\t{each.role}\t{'active' if each.is_active else 'deactivated'}\t{last}")


@app.command()
def password(name: Name, password_stdin: FromInput = False) -> None:
    """Reset a password, and end its sessions.

    Prints a random password, this once, unless one is given.
    """
    given = _read_password() if password_stdin else ""
    with _accounts():
        from dashboard.accounts.people import change_password

        made = change_password(name, given)
    _print_password(name, made, given)


@app.command(epilog=examples(("let anna launch batches", "canopy user role anna operator")))
def role(
    name: Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="The new role: viewer or operator.")],
    force: EvenLast = False,
) -> None:
    """Change an account's role, effective at once."""
    with _accounts():
        from dashboard.accounts.people import change_role

        change_role(name, role.value, even_last=force)


@app.command()
def deactivate(name: Name, force: EvenLast = False) -> None:
    """Deactivate an account.

    Its sessions and API tokens stop working at once. What it did stays in the audit trail.
    """
    _set_active(name, False, force)


@app.command()
def activate(name: Name) -> None:
    """Reactivate an account that was deactivated."""
    _set_active(name, True)


@app.command()
def unlock(name: Name) -> None:
    """Unlock an account after too many wrong passwords."""
    with _accounts():
        from dashboard.accounts.people import unlock

        unlock(name)


def _set_active(name: str, is_active: bool, force: bool = False) -> None:
    with _accounts():
        from dashboard.accounts.people import set_active

        set_active(name, is_active, even_last=force)


@contextmanager
def _accounts() -> Iterator[None]:
    """Set up Django, and raise Refused for what cannot be done."""
    with_django()
    from dashboard.accounts.people import AccountError

    with refusing():
        try:
            yield
        except AccountError as error:
            raise Refused(str(error), exit_status=1) from None


def _read_password() -> str:
    if given := sys.stdin.readline().rstrip("\n"):
        return given
    raise Refused("The input has no password in its first line.")


def _print_password(name: str, password: str, given: str) -> None:
    if not given:
        typer.echo(f"{name}\t{password}")
