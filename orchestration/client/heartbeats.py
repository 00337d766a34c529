"""Heartbeats: when one was sent, by the clock of whoever looks. The clock of the host that sends it may be any.

A time that changes between two looks was sent between them; one that stays is as old as the looks at it say.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

KNOWN = 10_000
"""Senders that are remembered, the newest."""


@dataclass(frozen=True)
class _Look:
    """The newest look: the time that a sender had sent, and when that and the look were by our monotonic clock."""

    sent: datetime
    ours: float
    at: float


class Heartbeats:
    """What was seen of senders before, in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looks = OrderedDict[Hashable, _Look]()

    def age(self, sender: Hashable, sent: datetime, interval: timedelta, now: datetime) -> timedelta:
        """Return how long ago a sender sent what it says to have sent at a time, which it does about once an interval.

        At first sight its clock is believed, except where it is ahead. One that turns out to differ counts from then on
        by the difference.
        """
        at, before = self._clock(), self._looks.pop(sender, None)
        if before is None:
            ours = at - max(0.0, (now - sent).total_seconds())
        else:
            ours = before.ours + (sent - before.sent).total_seconds()
            if sent != before.sent and not before.at <= ours <= at:
                ours = min(max(ours, before.at, at - interval.total_seconds()), at)
        self._looks[sender] = _Look(sent, ours, at)
        if len(self._looks) > KNOWN:
            self._looks.popitem(last=False)
        return timedelta(seconds=at - ours)
