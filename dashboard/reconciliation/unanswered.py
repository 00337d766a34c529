"""Commands that Temporal did not answer: asked for until it is known what came of them."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from dashboard.actions.unanswered import settle_command
from dashboard.database.threads import in_thread
from dashboard.models import UnansweredCommand
from dashboard.server.outages import log_failure
from dashboard.temporal import gateway
from orchestration.temporal.commands import Inquiry
from orchestration.temporal.connection import TemporalUnavailable

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(seconds=2)
RARELY = timedelta(seconds=30)
"""Between looks at a command that has had no answer for OLD."""

OLD = timedelta(minutes=10)
AT_ONCE = 50
"""Commands of one look, the oldest first."""


class Unanswered:
    """Looks commands up, each in turn."""

    def __init__(self) -> None:
        self._next = dict[int, datetime]()

    async def look(self) -> None:
        """Look up the commands whose turn it is. An error of one keeps no other waiting."""
        now = datetime.now(UTC)
        commands = await in_thread(_open_commands)()
        self._next = {command.pk: self._next.get(command.pk, now) for command in commands}
        due = [command for command in commands if self._next[command.pk] <= now][:AT_ONCE]
        for command in due:
            self._next[command.pk] = now + (LOOK_EVERY if now - command.sent_at < OLD else RARELY)
        await asyncio.gather(*(_look_up(command) for command in due))


async def _look_up(command: UnansweredCommand) -> None:
    replies = []
    try:
        for each in command.inquiries:
            reply = await gateway().look_up(Inquiry.of(each), command.sent_at)
            if reply is None:
                return
            replies.append(reply)
        await in_thread(settle_command)(command, replies)
    except TemporalUnavailable:
        return
    except Exception as error:
        log_failure(log, "What came of %s cannot be looked up; it is tried again.", command, error=error)


def _open_commands() -> list[UnansweredCommand]:
    commands = UnansweredCommand.objects.filter(settled_at=None)
    return list(commands.select_related("batch", "audit", "operation__batch").order_by("sent_at", "pk"))
