"""On PostgreSQL, through pgbouncer, with Redis: a batch runs, a backup is whole, and the record is as on SQLite."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.backups import backed_up, canopy, restored
from tests.support.servers import pgbouncer, postgres, redis
from tests.support.stack import ROOT, Stack, TemporalServer, free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

DATABASE_TESTS = [
    "tests/dashboard/database/test_snapshot.py",
    "tests/dashboard/projection/test_events.py",
    "tests/dashboard/projection/test_retries.py",
    "tests/dashboard/server/test_shared_throttle.py",
    "tests/dashboard/chunk_store/test_store.py",
    "tests/dashboard/api/test_workers.py::test_a_result_of_a_step_is_kept_once_and_comes_back_as_it_was",
    "tests/dashboard/live/test_deltas.py::test_a_delta_has_exactly_the_nodes_that_are_newer",
    "tests/dashboard/live/test_deltas.py::test_a_gap_is_filled_whatever_happened_in_it",
    "tests/dashboard/live/test_deltas.py::test_the_list_is_sent_what_changed_since_it_was_last_sent",
    "tests/dashboard/pages/test_batch_list.py::test_filters",
    "tests/dashboard/pages/test_batch_list.py::test_newest_first",
    "tests/dashboard/pages/test_batch_list.py::test_a_person_chooses_the_columns_and_a_saved_view_keeps_them",
    "tests/dashboard/pages/test_batches.py::test_children_are_found_by_the_key_of_an_item_wherever_they_are",
    "tests/dashboard/pages/test_batches.py::test_failures_come_first_then_running_pending_completed",
    "tests/dashboard/pages/test_batches.py::test_children_come_in_pages_of_a_hundred",
    "tests/dashboard/pages/test_batches.py::test_a_status_filters_the_tree_across_partitions",
    "tests/dashboard/queries/test_results.py",
    "tests/dashboard/views/test_hostile_requests.py::test_no_form_and_no_json_makes_a_500",
    "tests/dashboard/chunk_store/test_input_pages.py"
    "::test_pages_become_partitions_with_children_and_items_and_a_page_is_written_once",
    "tests/dashboard/definitions/test_stages.py"
    "::test_a_section_has_the_items_passed_since_the_last_one_and_is_written_once",
]
"""Those of the record, of what is read from it by a query that may differ by database, and of what it refuses.

What a page makes of the rows is the same on every database.
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL."""
    with postgres(Path(tmp_path_factory.mktemp("postgres"))) as url:
        yield url


@pytest.fixture
def large_stack(database: str, stack_server: TemporalServer, tmp_path: Path) -> Iterator[Stack]:
    """A stack on PostgreSQL and Redis, on a namespace of its own so that no other worker takes its work.

    What it starts, migrations among them, goes through a pgbouncer in transaction mode; what a test starts does not.
    """
    namespace = f"large-{free_port()}"
    stack_server.cli("operator", "namespace", "create", "--namespace", namespace)
    with redis(tmp_path) as channel_layer, pgbouncer(database, tmp_path, sessions=5) as pooled:
        more = {"DATABASE_URL": pooled, "REDIS_URL": channel_layer, "TEMPORAL_NAMESPACE": namespace}
        stack = Stack(stack_server, more)
        stack.start()
        stack.env["DATABASE_URL"] = database
        yield stack
        stack.stop()


def test_a_backup_made_while_a_batch_runs_is_whole_elsewhere(large_stack: Stack, tmp_path: Path) -> None:
    stack, file = large_stack, tmp_path / "backup.tar.gz"
    parameters = {"seconds_from": 0.1, "seconds_to": 0.4, "fail_percent": 20, "seed": 4}
    batch = stack.launch(processor="simulate", parameters=parameters, count=24, plan={"item_attempts": 1, "window": 4})
    backed_up(stack, file)
    refused = canopy(stack.env | stack.environment, "backup", str(tmp_path / "pooled.tar.gz"))
    assert refused.returncode == 1
    assert "leads through a connection pooler" in refused.stderr
    failed = stack.wait_for(batch, "completed_with_failures")["children"]["failed"]
    assert len(stack.api("POST", f"/batches/{batch}/retry", {"status": "failed"}).json()["accepted"]) == failed
    wait_until(lambda: len(stack.nodes(batch, kind="child", status="failed")) == failed, "they fail again")
    assert {node["attempt"] for node in stack.nodes(batch, status="failed")} == {2}
    server, elsewhere = stack.env["DATABASE_URL"].rpartition("/")[0], f"restored_{free_port()}"
    with psycopg.connect(stack.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {elsewhere}")
    env = {**stack.env, "DATABASE_URL": f"{server}/{elsewhere}", "CANOPY_HOME": str(tmp_path / "elsewhere")}
    for options in ((), ("--replace",)):
        there = restored(env, file, *options)
        assert batch in there["batches"]
        assert there["without a result"] == 0


@pytest.mark.timeout(1_000)
def test_the_record_is_the_same_on_postgresql(database: str) -> None:
    """Run the tests of the record once more, on PostgreSQL, in a process of their own: settings are read once."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *DATABASE_TESTS]
    env = {**os.environ, "CANOPY_TEST_DATABASE_URL": database}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]
