"""WatchedConnection: a connection to PostgreSQL that waits for a slow server, and not for one that has gone or frozen.

The kernel of a frozen host still acknowledges packets, so keepalives do not find it. Named in the settings: it imports
nothing of Django.

A pooler such as pgbouncer may give each transaction another session of the server. What is set on a session is then
set for strangers, so the limits are set on each transaction; a statement without one is canceled by this process.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from collections.abc import Generator
from dataclasses import dataclass
from time import monotonic
from typing import Any, ClassVar, Self

import psycopg

log = logging.getLogger(__name__)

SILENCE = 4.0
"""Seconds without a byte from the server after which it is asked whether it is there, and again after as many."""

ANSWER_WITHIN = 3.0
"""Seconds for that answer."""

OVERTIME = 10.0
"""Seconds beyond the limit of a statement for the server to cut it itself."""

OWN_CUT_AFTER = 1.0
"""Seconds beyond the limit of a statement after which this process asks a pooler to have it canceled."""

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""Every PostgreSQL answers this with one byte, before any login (protocol, 55.2.11)."""


@dataclass(frozen=True)
class Limits:
    """Limits that a server process asks of its sessions, in seconds. Commands such as `migrate` have none."""

    statement: float
    """0: no limit."""

    lock: float = 30.0
    idle_in_transaction: float = 60.0
    keepalive_idle: int = 10

    @property
    def parameters(self) -> dict[str, str]:
        """PostgreSQL's parameters: a session whose client froze or vanished soon gives its locks back."""
        return self.of_transactions | {
            "tcp_keepalives_idle": str(self.keepalive_idle),
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        }

    @property
    def of_transactions(self) -> dict[str, str]:
        """Those that may be set on a transaction alone."""
        return {
            "statement_timeout": f"{self.statement:g}s",
            "lock_timeout": f"{min(self.lock, self.statement or self.lock):g}s",
            "idle_in_transaction_session_timeout": f"{self.idle_in_transaction:g}s",
        }


class WatchedConnection(psycopg.Connection[Any]):
    """Raises OperationalError, and is closed, where the server does not answer any more."""

    limits: ClassVar[Limits | None] = None
    is_pooled = False
    """Whether the session of the server may be another one in the next transaction."""

    @classmethod
    def connect(cls, conninfo: str = "", **given: Any) -> Self:
        """Connect, and set the limits of this process on the session where it is this connection's own."""
        made = super().connect(conninfo, **given)
        made.is_pooled = leads_to_pooler(made)
        if cls.limits is not None and not made.is_pooled:
            names = cls.limits.parameters
            calls = ", ".join("set_config(%s, %s, false)" for _ in names)
            made.execute(f"SELECT {calls}", [part for pair in names.items() for part in pair])
        if not made.autocommit:
            made.commit()
        return made

    def limit_transaction(self) -> None:
        """Begin a transaction with the limits of this process, where its session has none."""
        if self.is_pooled and self.limits is not None:
            # No query: the level of isolation can still be set.
            self.execute(
                "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in self.limits.of_transactions.items())
            )

    def wait(self, gen: Any, *given: Any, **more: Any) -> Any:
        """Wait for the server as psycopg does, as long as there is one."""
        return super().wait(self._watched(gen), *given, **more)

    def _watched(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        heard = asked = monotonic()
        is_cut = False
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard = asked = monotonic()
                elif not is_cut and self._is_late(monotonic() - heard):
                    is_cut = True
                    with contextlib.suppress(psycopg.Error):
                        self.cancel_safe(timeout=ANSWER_WITHIN)
                elif monotonic() - asked >= SILENCE:
                    self._require_server(monotonic() - heard)
                    asked = monotonic()
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value

    def _is_late(self, silent: float) -> bool:
        """Whether this process has to end a statement that the server does not: one outside of a transaction."""
        limit = self.limits.statement if self.limits and self.is_pooled else 0
        return bool(limit) and silent > limit + OWN_CUT_AFTER

    def _require_server(self, silent: float) -> None:
        """Close the connection, and raise, where nobody is there, or a statement is long past its limit."""
        limit = self.limits.statement if self.limits else 0
        if limit and silent > limit + OVERTIME:
            reason = f"no answer for {silent:.0f} s"
        elif _answers(self.info.hostaddr or self.info.host, self.info.port):
            return
        else:
            reason = f"the server has stopped answering for {silent:.0f} s"
        log.warning("A connection to PostgreSQL is given up: %s.", reason)
        self.close()
        raise psycopg.OperationalError(reason)


def leads_to_pooler(connection: psycopg.Connection[Any]) -> bool:
    """Whether a pooler such as pgbouncer is in between: the process that it names for canceling is not the server's."""
    found = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    return found is not None and found[0] != connection.info.backend_pid


def _answers(host: str, port: int) -> bool:
    """Whether a server answers at an address; a host that begins with a slash is a folder of sockets."""
    is_local = host.startswith("/")
    try:
        with (
            socket.socket(socket.AF_UNIX) if is_local else socket.create_connection((host, port), ANSWER_WITHIN) as line
        ):
            line.settimeout(ANSWER_WITHIN)
            if is_local:
                line.connect(f"{host}/.s.PGSQL.{port}")
            line.sendall(SSL_REQUEST)
            return bool(line.recv(1))
    except OSError:
        return False
