"""Own signals: what an item sends to its own worker to stop it is refused, and fails that item alone.

A worker that is stopped ends in good order and takes back what it had noted of its items: that is a deployment, and no
item's fault. It cannot tell who asked. An item that stops its worker would stop every one that gets it, so it is told
where it asks.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from orchestration.temporal.stopping import SIGNALS


class StopsItsWorker(PermissionError):
    """A processor tried to stop its own worker process with a signal. Nothing was sent."""

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__(f"It sent {name} to its own worker, which would have stopped: nothing was sent.")


def refuse_own_signals() -> None:
    """Refuse from now on what code of this process sends to it to stop it. Of others, a signal stops it as ever.

    Calls that Python audits are refused where they are made; the two that it does not audit are replaced.
    """
    sys.addaudithook(partial(_refuse, os.getpid()))
    for module, name, default in ((signal, "raise_signal", None), (_thread, "interrupt_main", signal.SIGINT)):
        setattr(module, name, _refusing(os.getpid(), getattr(module, name), default))


def _refuse(worker: int, event: str, given: tuple[Any, ...]) -> None:
    """Raise StopsItsWorker for an audited call that would stop the worker. A process forked from it may end itself."""
    is_meant = _AUDITED.get(event)
    if is_meant is not None and given[1] in SIGNALS and is_meant(worker, given[0]):
        raise StopsItsWorker(given[1])


def _is_killed(worker: int, process: int) -> bool:
    return process == worker or (process <= 0 and (process == -1 or _is_group_killed(worker, -process)))


def _is_group_killed(worker: int, group: int) -> bool:
    try:
        return (group or os.getpgrp()) == os.getpgid(worker)
    except ProcessLookupError:  # a process forked from a worker that has ended
        return False


def _is_thread_killed(worker: int, thread: int) -> bool:
    return os.getpid() == worker


_AUDITED: dict[str, Callable[[int, int], bool]] = {
    "os.kill": _is_killed,
    "os.killpg": _is_group_killed,
    "signal.pthread_kill": _is_thread_killed,
}


def _refusing(worker: int, function: Callable[..., Any], default: int | None) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        number = next(iter((*given, *named.values())), default)
        if number in SIGNALS and os.getpid() == worker:
            raise StopsItsWorker(int(number))
        return function(*given, **named)

    return call
