"""Payloads in Temporal are encrypted and hold no secret, as raw histories show, and everything still works."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowExecution
from temporalio.converter import DataConverter

from orchestration.temporal import data_converter
from orchestration.temporal.data_converter import CannotDecrypt, EncryptingCodec, parse_keys
from tests.support.site import Site
from tests.support.stack import Stack, TemporalServer
from tests.support.waiting import until

pytestmark = pytest.mark.slow

SECRET = "hunter2-of-the-crm"
LABEL = "quarterly-payroll"


def key() -> str:
    """Return a new key."""
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def encrypting(tmp_path: Path) -> Iterator[Stack]:
    """A stack with a key and a secret."""
    server = TemporalServer(tmp_path)
    server.start()
    stack = Stack(server, {"CANOPY_PAYLOAD_KEYS": key(), "CANOPY_SECRET_CRM": SECRET})
    stack.start()
    yield stack
    stack.stop()
    server.stop()


async def test_histories_are_encrypted_and_a_batch_with_a_secret_runs_fails_and_is_retried(encrypting: Stack) -> None:
    stack, site = encrypting, Site()
    site.broken = {f"/{SECRET}/2"}
    try:
        batch = stack.launch(
            processor="http_request",
            label=LABEL,
            parameters={"url": f"{site.url}/{{secret:CRM}}/{{value}}", "headers": {"X-Token": "{secret:CRM}"}},
            items=[{"value": str(number)} for number in range(4)],
            plan={"item_attempts": 1},
        )
        stack.wait_for(batch, "completed_with_failures")
        assert site.visits[f"/{SECRET}/1"] == 1
        (failed,) = stack.nodes(batch, kind="child", status="failed")
        assert failed["error"]["message"] == "Expected 200-299, got 500 Internal Server Error."
        site.broken.clear()
        assert stack.api("POST", f"/batches/{batch}/retry", {"status": "failed"}).status_code == 202
        stack.wait_for(batch, "completed")
        histories = await _histories(stack, batch)
    finally:
        site.close()
    for plain in (SECRET, LABEL, "Expected 200", "http_request"):
        assert plain.encode() not in histories
    assert b"binary/encrypted" in histories
    said = stack.api("GET", f"/batches/{batch}").text + stack.api("GET", f"/batches/{batch}/items").text
    assert SECRET not in said
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in stack.home.rglob("canopy.sqlite3*"))
    assert SECRET not in stack.worker.output + stack.web.output


async def _histories(stack: Stack, batch: str) -> bytes:
    """Return every event of every workflow of a batch, as Temporal keeps it."""
    client = await Client.connect(stack.temporal.address, data_converter=DataConverter.default)
    rows = {node["run_id"] for node in stack.nodes(batch)} - {""}

    async def listed() -> list[WorkflowExecution]:
        runs = [run async for run in client.list_workflows(f'RootWorkflowId = "batch-{batch}"')]
        return runs if rows <= {run.run_id for run in runs} else []

    found = []
    for run in await until(listed, "every run that has a row is listed"):
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        found += [event.SerializeToString() for event in history.events]
    return b"".join(found)


async def test_keys_can_be_rotated_and_a_wrong_one_is_reported() -> None:
    old, new, other = (parse_keys(key()) for _ in range(3))
    (plain,) = await DataConverter.default.encode(["what is said"])
    (written,) = await EncryptingCodec(old).encode([plain])
    assert b"what is said" not in written.SerializeToString()
    assert await EncryptingCodec([*new, *old]).decode([written, plain]) == [plain, plain]
    with pytest.raises(CannotDecrypt, match="None of the keys"):
        await EncryptingCodec(other).decode([written])


@pytest.mark.parametrize("wrong", ["short", "%%%", base64.b64encode(b"x" * 31).decode()])
def test_an_invalid_key_is_reported_without_revealing_it(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"key 2 is not 32 bytes") as refused:
        parse_keys(f"{key()}, {wrong}")
    assert wrong not in str(refused.value)
    assert data_converter.parse_keys("") == []
