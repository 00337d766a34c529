"""canopy user and canopy token: what they change, and what they refuse."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from typer.testing import CliRunner

from dashboard.accounts import people
from dashboard.accounts.permissions import is_operator
from dashboard.accounts.sessions import FIRST_PASSWORD
from dashboard.cli import user
from dashboard.cli.main import app
from dashboard.cli.refusal import Refused

pytestmark = pytest.mark.django_db

OWN = "correct-horse-battery"


def canopy(*arguments: str, given: str = "") -> str:
    """Run a command in this process and return what it prints. Raises Refused."""
    done = CliRunner().invoke(app, arguments, input=given)
    if isinstance(done.exception, Refused):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def logs_in(client: Client, username: str, password: str) -> bool:
    """Whether a browser gets in."""
    return client.post("/login/", {"username": username, "password": password}).status_code == 302


def test_an_account_lives_from_its_creation_to_its_end(client: Client) -> None:
    name, password = canopy("user", "create", "anna", "--role", "operator").split()
    anna = User.objects.get(username=name)
    assert is_operator(anna)
    assert anna.groups.filter(name=FIRST_PASSWORD).exists()
    assert logs_in(client, "anna", password)
    assert canopy("user", "password", "anna", "--password-stdin", given=f"{OWN}\n") == ""
    assert client.get("/").status_code == 302, "sessions end with the old password"
    assert logs_in(client, "anna", OWN)
    token = canopy("token", "create", "ci", "--user", "anna").strip()
    with pytest.raises(Refused, match="is the last operator"):
        canopy("user", "deactivate", "anna")
    canopy("user", "create", "otto", "--role", "operator", "--password-stdin", given=f"{OWN}\n")
    canopy("user", "role", "anna", "viewer")
    assert not is_operator(User.objects.get(username="anna"))
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/v1/tokens", headers=bearer).status_code == 200
    canopy("user", "deactivate", "anna")
    assert client.get("/").status_code == 302, "sessions end with the account"
    assert Client().get("/api/v1/tokens", headers=bearer).status_code == 401
    lines = [line.split("\t")[:3] for line in canopy("user", "list").splitlines()]
    assert lines == [["anna", "viewer", "deactivated"], ["otto", "operator", "active"]]
    canopy("user", "activate", "anna")
    assert logs_in(Client(), "anna", OWN)


def test_what_cannot_be_is_refused() -> None:
    canopy("user", "create", "anna")
    for arguments, given, said in [
        (("create", "Anna"), "", "There is already an account Anna."),
        (("create", "an na"), "", "Enter a valid username."),
        (("create", "otto", "--password-stdin"), "otto\n", "too short"),
        (("create", "otto", "--password-stdin"), "\n", "no password"),
        (("role", "nobody", "viewer"), "", "There is no account nobody."),
        (("password", "nobody"), "", "There is no account nobody."),
        (("deactivate", "nobody"), "", "There is no account nobody."),
        (("unlock", "nobody"), "", "There is no account nobody."),
    ]:
        with pytest.raises(Refused, match=said):
            canopy("user", *arguments, given=given)
    with pytest.raises(Refused, match="There is no user nobody"):
        canopy("token", "create", "ci", "--user", "nobody")
    assert [each.username for each in User.objects.all()] == ["anna"]


def test_the_roles_of_the_command_are_those_of_accounts() -> None:
    assert sorted(each.value for each in user.Role) == sorted(people.ROLES)
