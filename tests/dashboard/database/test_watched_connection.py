"""WatchedConnection on a real PostgreSQL: a frozen server is given up, a slow one is not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dashboard.database import watched_connection
from dashboard.database.away import is_away, is_cut
from dashboard.database.watched_connection import Limits, WatchedConnection
from tests.support.servers import postgres

SOON = 20.0
"""Seconds: much less than a statement's own limit or what the kernel waits for."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("watched")) as url:
        yield url


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_connection, "SILENCE", 0.3)
    monkeypatch.setattr(watched_connection, "ANSWER_WITHIN", 60.0)  # a busy machine's server answers late


def parent_of(pid: int) -> int:
    status = Path("/proc", str(pid), "status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))


@contextmanager
def frozen(connection: psycopg.Connection[object]) -> Iterator[None]:
    """Freeze a server and all its processes, as a host does that swaps: its kernel still acknowledges packets."""
    server = parent_of(connection.info.backend_pid)
    processes = [server, *map(int, Path(f"/proc/{server}/task/{server}/children").read_text().split())]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in (*processes, parent_of(server)):  # runuser stops with its child
            os.kill(pid, signal.SIGCONT)


@pytest.mark.usefixtures("impatient")
def test_a_frozen_server_is_given_up_and_answers_again_afterwards(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_connection, "ANSWER_WITHIN", 2.0)
    with WatchedConnection.connect(address, autocommit=True) as connection:
        with frozen(connection):
            began = time.monotonic()
            with pytest.raises(psycopg.OperationalError, match="stopped answering") as error:
                connection.execute("SELECT 1")
            assert time.monotonic() - began < SOON
        assert connection.closed
        assert is_away(error.value)
    with WatchedConnection.connect(address, autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.usefixtures("impatient")
def test_a_slow_server_is_waited_for(address: str) -> None:
    with WatchedConnection.connect(address, autocommit=True) as connection:
        assert connection.execute("SELECT 1 FROM pg_sleep(1.5)").fetchone() == (1,)


@pytest.mark.usefixtures("impatient")
def test_a_single_process_of_the_server_that_is_frozen_is_given_up_after_the_limit_of_its_statement(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WatchedConnection, "limits", Limits(statement=0.5))
    monkeypatch.setattr(watched_connection, "OVERTIME", 0.5)
    with WatchedConnection.connect(address, autocommit=True) as connection:
        pid = connection.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(psycopg.OperationalError, match="no answer for"):
                connection.execute("SELECT 1")
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_statement_and_a_lock_that_take_too_long_are_cut(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WatchedConnection, "limits", Limits(statement=1))
    with WatchedConnection.connect(address) as connection, pytest.raises(psycopg.OperationalError) as cut:
        connection.execute("SELECT pg_sleep(600)")
    assert is_cut(cut.value)
    monkeypatch.setattr(WatchedConnection, "limits", Limits(statement=600, lock=0.3))
    with WatchedConnection.connect(address) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(1)")
        with WatchedConnection.connect(address) as waiting, pytest.raises(psycopg.OperationalError) as late:
            waiting.execute("SELECT pg_advisory_xact_lock(1)")
    assert is_away(late.value)
    assert not is_cut(late.value)


def test_a_client_that_stands_still_in_a_transaction_loses_its_locks(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WatchedConnection, "limits", Limits(statement=600, idle_in_transaction=0.3))
    with WatchedConnection.connect(address, autocommit=True) as still:
        still.execute("BEGIN; SELECT pg_advisory_xact_lock(2)")
        monkeypatch.setattr(WatchedConnection, "limits", Limits(statement=600))
        with WatchedConnection.connect(address) as other:
            other.execute("SELECT pg_advisory_xact_lock(2)")
        with pytest.raises(psycopg.Error) as ended:
            still.execute("SELECT 1")
    assert is_away(ended.value)


def test_a_process_that_is_no_server_has_no_limits(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WatchedConnection, "limits", None)
    with WatchedConnection.connect(address) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
