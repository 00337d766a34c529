"""The secret key: the same in all web processes of an installation, or a process does not start.

What one signs, another has to read: a session would end with each request that another process answers. Each keeps a
fingerprint of its key in the database where there may be several: with PostgreSQL or Redis.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import os
import signal

from django.conf import settings
from django.db import transaction

from dashboard.database.threads import in_thread
from dashboard.models import CommonValue
from dashboard.server.outages import log_failure, outage_of
from orchestration.startup import CannotStart

log = logging.getLogger(__name__)

NAME = "secret-key"

ROUNDS = 200_000
"""Of PBKDF2: who reads the database must not find out a weak key."""

TRY_EVERY = 5.0
"""Seconds between tries to compare while the database is away."""

REFUSAL = (
    "{mine} is not the secret key of this installation's other web processes. Give all of them the same "
    "CANOPY_SECRET_KEY. To replace a key, keep the former one in CANOPY_SECRET_KEY_FALLBACKS. If it is lost, "
    "`canopy manage acceptkey` makes this one the installation's: everybody has to log in again."
)


def fingerprint(key: str) -> str:
    """Return what tells two keys apart, and from which a key cannot be found."""
    return hashlib.pbkdf2_hmac("sha256", key.encode(), b"canopy.secret-key", ROUNDS).hex()


def compare_key() -> None:
    """Compare this process's key with the installation's, or make it that where there is none or it replaces it.

    Raises CannotStart where it is another one, and what the database raises.
    """
    if not is_compared():
        return
    mine = fingerprint(settings.SECRET_KEY)
    with transaction.atomic():
        common, _made = CommonValue.objects.select_for_update().get_or_create(name=NAME, defaults={"value": mine})
        if hmac.compare_digest(common.value, mine):
            return
        if common.value not in map(fingerprint, settings.SECRET_KEY_FALLBACKS):
            raise CannotStart(REFUSAL.format(mine=_origin()))
        common.value = mine
        common.save()
    log.info("The secret key replaces one of CANOPY_SECRET_KEY_FALLBACKS.")


def accept_key() -> None:
    """Make this process's key the installation's, whatever that was."""
    CommonValue.objects.update_or_create(name=NAME, defaults={"value": fingerprint(settings.SECRET_KEY)})


def is_compared() -> bool:
    """Whether there may be web processes on several machines."""
    return bool(settings.REDIS_URL) or settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3"


async def require_common_key() -> None:
    """Raise CannotStart where the key is another one; while the database is away, nothing is known of it."""
    try:
        await in_thread(compare_key)()
    except CannotStart:
        raise
    except Exception as error:
        if outage_of(error) is None:
            raise
        log_failure(log, "The secret key is compared later.", error=error)


async def keep_comparing_key() -> None:
    """Compare it until that is done, and end the process where it is another one. Then do nothing."""
    while True:
        try:
            await in_thread(compare_key)()
            await asyncio.Event().wait()
        except CannotStart as error:
            log.critical("%s", error)
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception as error:
            log_failure(log, "The secret key cannot be compared; it is tried again.", error=error)
        await asyncio.sleep(TRY_EVERY)


def _origin() -> str:
    if os.environ.get("CANOPY_SECRET_KEY") or os.environ.get("SECRET_KEY"):
        return "CANOPY_SECRET_KEY"
    return f"The key that was generated in {settings.HOME / 'secret-key'}"
