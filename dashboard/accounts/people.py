"""Accounts as whoever runs the installation keeps them: created, given a role and a password, deactivated."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from axes.utils import reset
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from dashboard.accounts.permissions import OPERATORS, VIEWERS, is_operator, operators
from dashboard.accounts.sessions import password_is_first

ROLES = (VIEWERS, OPERATORS)

GENERATED_BYTES = 16
"""Of a password by chance."""


class AccountError(Exception):
    """What is asked cannot be done to an account; the message says why."""


@dataclass(frozen=True)
class Account:
    """A line of the list."""

    username: str
    role: str
    is_active: bool
    last_login: datetime | None


def accounts() -> Iterator[Account]:
    """Yield all accounts by name."""
    for person in User.objects.order_by("username").prefetch_related("groups"):
        yield Account(person.username, role_of(person), person.is_active, person.last_login)


def role_of(person: User) -> str:
    """Return a person's role; everybody who is logged in is a viewer at least."""
    is_one = person.is_superuser or any(group.name == OPERATORS for group in person.groups.all())
    return OPERATORS if is_one else VIEWERS


@transaction.atomic
def create_account(username: str, role: str, password: str = "") -> str:
    """Create an account and return its password, by default one by chance. Raises AccountError.

    Whoever logs in with it changes it first where others than this machine reach the dashboard.
    """
    person = User(username=username)
    try:
        User.username_validator(username)
        person.clean_fields(exclude=["password"])
    except ValidationError as error:
        raise AccountError(" ".join(error.messages)) from None
    if User.objects.filter(username__iexact=username).exists():
        raise AccountError(f"There is already an account {username}.")
    given = _set_password(person, password)
    person.save()
    _set_role(person, role)
    password_is_first(person)
    return given


@transaction.atomic
def change_password(username: str, password: str = "") -> str:
    """Give an account another password and return it; its sessions end. Raises AccountError."""
    person = _person(username)
    given = _set_password(person, password)
    person.save(update_fields=["password"])
    password_is_first(person)
    reset(username=username)
    return given


@transaction.atomic
def change_role(username: str, role: str, *, even_last: bool = False) -> None:
    """Give an account a role. Raises AccountError, also for the last operator."""
    person = _person(username)
    if role != OPERATORS:
        if person.is_superuser:
            raise AccountError(f"{username} is a superuser, who may do everything.")
        _require_another_operator(person, even_last)
    _set_role(person, role)


@transaction.atomic
def set_active(username: str, is_active: bool, *, even_last: bool = False) -> None:
    """Let a person in, or not any more: sessions and API tokens work only while the account is active.

    Raises AccountError, also for the last operator.
    """
    person = _person(username)
    if not is_active:
        _require_another_operator(person, even_last)
    person.is_active = is_active
    person.save(update_fields=["is_active"])


@transaction.atomic
def unlock(username: str) -> None:
    """Forget wrong passwords, which lock an account for a while. Raises AccountError."""
    reset(username=_person(username).username)


def _person(username: str) -> User:
    person = User.objects.select_for_update().filter(username=username).first()
    if person is None:
        raise AccountError(f"There is no account {username}.")
    return person


def _set_password(person: User, password: str) -> str:
    given = password or secrets.token_urlsafe(GENERATED_BYTES)
    try:
        validate_password(given, person)
    except ValidationError as error:
        raise AccountError(" ".join(error.messages)) from None
    person.set_password(given)
    return given


def _set_role(person: User, role: str) -> None:
    person.groups.remove(*Group.objects.filter(name__in=ROLES))
    person.groups.add(Group.objects.get_or_create(name=role)[0])


def _require_another_operator(person: User, even_last: bool) -> None:
    if not even_last and is_operator(person) and not operators().exclude(pk=person.pk).exists():
        raise AccountError(f"{person} is the last operator: nobody could launch batches or give out tokens.")
