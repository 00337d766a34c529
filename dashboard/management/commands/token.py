"""manage.py token: creates, lists and revokes API tokens."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard.accounts.api_tokens import request_token, revoke
from dashboard.errors import FieldErrors
from dashboard.models import ApiToken, TokenKind, TokenRole


class Command(BaseCommand):
    """Manage API tokens."""

    help = "Create, list and revoke API tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add create, list and revoke."""
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="create a token and print it, this once")
        create.add_argument("name", help="shown in the audit trail")
        create.add_argument("--user", required=True, help="whose token it is; of a worker's, who answers for it")
        create.add_argument("--kind", choices=TokenKind.values, default=TokenKind.PERSON)
        create.add_argument("--role", choices=TokenRole.values, default="", help="of a person's token")
        create.add_argument("--queue", action="append", default=[], help="of a worker's token; repeatable")
        actions.add_parser("list", help="list valid tokens")
        actions.add_parser("revoke", help="revoke a token").add_argument("id", type=int)

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Do what is asked."""
        {"create": self._create, "list": self._list, "revoke": self._revoke}[action](options)

    def _create(self, given: dict[str, Any]) -> None:
        person = User.objects.filter(username=given["user"]).first()
        if person is None:
            raise CommandError(f"There is no user {given['user']}.")
        try:
            _token, text = request_token(person, given["name"], given["kind"], given["role"], given["queue"])
        except FieldErrors as error:
            raise CommandError(" ".join(reason for reasons in error.errors.values() for reason in reasons)) from None
        except PermissionDenied as error:
            raise CommandError(str(error) or f"{person} may not do this.") from None
        self.stdout.write(text)

    def _list(self, given: dict[str, Any]) -> None:
        for token in ApiToken.objects.filter(revoked_at=None).select_related("person"):
            used = token.used_at.isoformat(timespec="minutes") if token.used_at else "never"
            scope = ",".join(token.queues) or token.role or "-"
            warning = "\tused by a worker or plugin: give it a token of its own kind" if token.used_as_worker_at else ""
            self.stdout.write(f"{token.pk}\t{token.kind}\t{scope}\t{token.person}\t{token.name}\t{used}{warning}")

    def _revoke(self, given: dict[str, Any]) -> None:
        token = ApiToken.objects.filter(pk=given["id"], revoked_at=None).first()
        if token is None:
            raise CommandError(f"There is no valid token {given['id']}.")
        revoke(token)
