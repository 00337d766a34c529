"""canopy token: API tokens of people, workers and plugins."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from dashboard.cli.django_setup import call
from dashboard.cli.examples import examples

app = typer.Typer(help="Create, list and revoke API tokens.", no_args_is_help=True)


class Kind(StrEnum):
    """What a token is for: the model's TokenKind, which needs Django."""

    PERSON = "person"
    WORKER = "worker"
    EVENTS = "events"


class Role(StrEnum):
    """What a person's token may do: the model's TokenRole."""

    OPERATOR = "operator"
    VIEWER = "viewer"


@app.command(
    epilog=examples(
        ("for a script that acts as anna", "canopy token create ci --user anna"),
        ("for a worker on another machine", 'canopy token create "machine 7" --user anna --kind worker --queue heavy'),
    )
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for; shown in the audit trail.")],
    user: Annotated[
        str, typer.Option(metavar="USERNAME", help="Owner; for a worker's token, who is responsible for it.")
    ],
    kind: Annotated[Kind, typer.Option(help="What uses it.")] = Kind.PERSON,
    role: Annotated[
        Role | None, typer.Option(help="Restricts a person's token to less than the person may do.")
    ] = None,
    queue: Annotated[
        list[str] | None, typer.Option(metavar="QUEUE", help="Task queue of a worker's token. Repeatable.")
    ] = None,
) -> None:
    """Create a token and print it, this once."""
    call("token", "create", name, user=user, kind=kind.value, role=role.value if role else "", queue=queue or [])


@app.command(name="list")
def list_tokens() -> None:
    """List valid tokens: id, kind, scope, owner, name, last use."""
    call("token", "list")


@app.command()
def revoke(token_id: Annotated[int, typer.Argument(metavar="ID", help="As `canopy token list` shows it.")]) -> None:
    """Revoke a token, effective at once."""
    call("token", "revoke", str(token_id))
