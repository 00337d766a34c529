"""Processes that may do something one at a time, on PostgreSQL: one of them is killed, stopped or ends."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import psycopg
import pytest

from tests.support.servers import postgres
from tests.support.stack import Process
from tests.support.waiting import wait_until

MAKE_TABLES = """
import django
django.setup(set_prefix=False)
from django.db import connection
from dashboard.models import CommonValue, Lease
with connection.schema_editor() as editor:
    editor.create_model(Lease)
    editor.create_model(CommonValue)
"""


class Led:
    """Programs that lead in turn, each as on a machine of its own, and the rows that they write."""

    def __init__(self, url: str, home: Path) -> None:
        self._home, self._rows = home, psycopg.connect(url, autocommit=True)
        self._env = {**os.environ, "DATABASE_URL": url, "CANOPY_HOME": str(home)}
        self._env["DJANGO_SETTINGS_MODULE"] = "dashboard.settings"
        self._started = list[Process]()

    def start(self, *command: str) -> Process:
        """Start a program of Python."""
        name = f"{len(self._started)}"
        program = Process([sys.executable, *command, name], self._home / f"{name}.log", self._env)
        program.start()
        self._started.append(program)
        return program

    def writers(self) -> list[int]:
        """Return who wrote, in the order of the clock that they share, without repetitions."""
        rows = self._rows.execute("SELECT value FROM dashboard_commonvalue ORDER BY name").fetchall()
        return [int(pid) for pid, _ in groupby(pid for (pid,) in rows)]

    def wait_for_rows_of(self, program: Process) -> None:
        """Wait until a program writes, after all others."""
        wait_until(lambda: self.writers()[-1:] == [program.pid], lambda: f"{program.pid} leads: {program.output}", 60)

    def stop(self) -> None:
        """End all."""
        for program in self._started:
            if program.is_running:
                program.kill()
        self._rows.close()


@pytest.fixture
def led(tmp_path: Path) -> Iterator[Led]:
    """PostgreSQL with the tables, and nothing that leads."""
    with postgres(tmp_path) as url:
        led = Led(url, tmp_path)
        try:
            tables = led.start("-c", MAKE_TABLES)
            wait_until(lambda: not tables.is_running, "the tables are made")
            yield led
        finally:
            led.stop()


def test_another_process_takes_over_from_one_that_is_killed_frozen_or_ends(led: Led) -> None:
    first = led.start("-m", "tests.support.led_program")
    led.wait_for_rows_of(first)
    second = led.start("-m", "tests.support.led_program")
    first.kill()
    led.wait_for_rows_of(second)
    third = led.start("-m", "tests.support.led_program")
    os.kill(second.pid, signal.SIGSTOP)
    led.wait_for_rows_of(third)
    os.kill(second.pid, signal.SIGCONT)
    wait_until(lambda: "by now" in second.output, "the one that was frozen notices that it has been replaced", 60)
    third.stop()
    led.wait_for_rows_of(second)
    assert led.writers() == [first.pid, second.pid, third.pid, second.pid], json.dumps(
        [program.output for program in (first, second, third)]
    )
