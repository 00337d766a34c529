"""Leadership: loops that run in exactly one web process at a time, under a lease in the database.

Whoever has the lease renews it. When its process ends, it gives the lease back; when it dies or freezes, the lease
runs out by the database's clock, and another process takes it. Each holder has a number of its own, and what it writes
is confirmed by that (`database.fencing`): one that was frozen and wakes up writes nothing more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.db import connection
from django.db.models import F, Q
from django.db.models.functions import Now

from dashboard.database.fencing import Replaced, fence
from dashboard.database.threads import in_thread
from dashboard.metrics import definitions as metrics
from dashboard.models import Lease
from dashboard.server.outages import log_failure

log = logging.getLogger(__name__)

LASTS = timedelta(seconds=6)
"""How long a lease lasts without being renewed."""

RENEW_EVERY = 1.5
TRY_EVERY = 1.0
"""Seconds. So another process takes over within 7 s, and the time that the database takes."""

GIVE_BACK_WITHIN = 2.0
"""Seconds for giving the lease back at the end of a process; otherwise it runs out."""

Loop = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Grant:
    """A lease as one process has it."""

    name: str
    holder: str
    number: int

    def confirm(self) -> None:
        """Raise Replaced if somebody else has it by now; nobody else gets it before the transaction ends."""
        statement = f"SELECT 1 FROM {Lease._meta.db_table} WHERE name = %s AND holder = %s AND fence = %s"  # noqa: S608
        if connection.features.has_select_for_update:
            statement += " FOR SHARE"
        with connection.cursor() as cursor:
            cursor.execute(statement, [self.name, self.holder, self.number])
            if cursor.fetchone() is None:
                raise Replaced(f"Another process has the lease {self.name!r}.")


def take(name: str, holder: str) -> Grant | None:
    """Return the lease if it was free, ran out, or was had by a process of this machine that is gone; else None."""
    lease, _made = Lease.objects.get_or_create(name=name)
    is_old = Q(expires_at=None) | Q(expires_at__lt=Now()) | Q(expires_at__gt=Now() + 2 * LASTS)  # the clock was set
    if is_gone(lease.holder):
        is_old |= Q(holder=lease.holder)
    mine = Lease.objects.filter(is_old, name=name)
    if not mine.exists() or not mine.update(holder=holder, fence=F("fence") + 1, expires_at=Now() + LASTS):
        return None
    number = Lease.objects.filter(name=name, holder=holder).values_list("fence", flat=True).first()
    return None if number is None else Grant(name, holder, number)


def renew(grant: Grant) -> bool:
    """Renew a lease, also one that ran out, unless somebody else has it by now; return whether it is still had."""
    mine = Lease.objects.filter(name=grant.name, holder=grant.holder, fence=grant.number)
    return bool(mine.update(expires_at=Now() + LASTS))


def give_back(grant: Grant) -> None:
    """Let another process have the lease at once."""
    Lease.objects.filter(name=grant.name, holder=grant.holder, fence=grant.number).update(holder="", expires_at=None)


async def lead(name: str, loops: Sequence[Loop]) -> None:
    """Run loops whenever this process has the lease, until canceled; then give it back. The loops do not end."""
    holder = process_name()
    metrics.leader.labels(name).set(0)
    while True:
        try:
            grant = await in_thread(take)(name, holder)
        except Exception as error:
            log_failure(log, "The lease %r cannot be taken; it is tried again.", name, error=error)
            grant = None
        if grant is not None:
            await _lead(grant, loops)
        await asyncio.sleep(TRY_EVERY)


async def _lead(grant: Grant, loops: Sequence[Loop]) -> None:
    log.info("This process has the lease %r (%s).", grant.name, grant.number)
    metrics.leader.labels(grant.name).set(1)
    fence.set(grant.confirm)
    running = [asyncio.ensure_future(loop()) for loop in loops]
    fence.set(None)
    try:
        await _keep(grant)
        log.warning("Another process has the lease %r by now.", grant.name)
    finally:
        metrics.leader.labels(grant.name).set(0)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        with suppress(Exception):
            async with asyncio.timeout(GIVE_BACK_WITHIN):
                await in_thread(give_back)(grant)


async def _keep(grant: Grant) -> None:
    """Renew the lease until somebody else has it. While the database is away nobody else can take it either."""
    while True:
        await asyncio.sleep(RENEW_EVERY)
        try:
            if not await in_thread(renew)(grant):
                return
        except Exception as error:
            log_failure(log, "The lease %r cannot be renewed; it is tried again.", grant.name, error=error)


def process_name() -> str:
    """Return a name of this process that no other has, and by which others of its machine know whether it is gone."""
    begun = _begun(os.getpid()) or "?"
    return f"{_machine()} {os.getpid()} {begun} {socket.gethostname()[:60]} {secrets.token_hex(4)}"


def is_gone(name: str) -> bool:
    """Whether a process of this machine has ended; False for those of others, of which nothing is known (Linux)."""
    machine, _, rest = name.partition(" ")
    process, _, rest = rest.partition(" ")
    if not machine or machine != _machine() or not process.isdigit():
        return False
    return _begun(int(process)) != rest.partition(" ")[0]


def _machine() -> str:
    """Return what processes have in common that see each other's ids: the boot, and the namespace of the ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _begun(process: int) -> str:
    """Return when a process began, in the kernel's ticks; empty if it has ended."""
    try:
        state, *more = Path("/proc", str(process), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else more[18]
