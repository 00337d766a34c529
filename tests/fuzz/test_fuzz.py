"""Some hostile requests to each database, as `make fuzz` sends thousands: none is answered with a 5xx."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.__main__ import SQLITE, run
from tests.support.servers import postgres
from tests.support.stack import TemporalServer

INPUTS = 40
SEED = 20_260
DEADLINE = 300


def test_no_hostile_request_makes_a_5xx_on_either_database(
    temporal_server: TemporalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with postgres(tmp_path) as url:
        attacks = [run(database, INPUTS, SEED, temporal_server.address) for database in (SQLITE, url)]
        ended = [each.wait(DEADLINE) for each in attacks]
    said = capfd.readouterr().out
    assert ended == [0, 0], said
    assert said.count(f": {INPUTS} inputs in ") == 2
    assert "sqlite3: " in said
    assert "postgresql: " in said
