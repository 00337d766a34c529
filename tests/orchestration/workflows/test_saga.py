"""A fan-out of sagas: each item goes through the steps by itself, and is undone by itself."""

from __future__ import annotations

from orchestration.contracts.events import EventKind, NodeKind
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id
from tests.support.engine import Engine, failed
from tests.support.flows import saga
from tests.support.probe import Probe


async def test_each_item_goes_through_its_own_saga_and_one_that_fails_is_undone_alone(engine: Engine) -> None:
    probe = Probe()
    probe.saga = saga(probe) | {"fan_out": True}
    probe.fail = {"ship 1", "undo charge 1"}
    run = await engine.launch(3, probe)
    result = await run.result()
    assert (result.counts.completed, failed(Status.FAILED, result)) == (2, [1])
    order = [key for key in probe.calls if key.endswith(" 1")]
    assert order == ["reserve 1", "charge 1", "ship 1", "undo charge 1", "undo reserve 1"]
    assert [key for key in probe.calls if key.endswith(" 0")] == ["reserve 0", "charge 0", "ship 0"]
    assert probe.given["reserve 1"]
    assert probe.given["undo reserve 1"] == probe.given["reserve 1"], "what undoes a step takes the item, too"
    await run.closed_event()
    lost = child_id(run.id, 1, None)
    failure = next(event.failure for event in run.events(EventKind.CLOSED) if event.workflow_id == lost)
    assert failure is not None
    assert (failure.type, "Undone: reserve. Could not be undone: charge." in failure.message) == ("RolledBack", True)
    places = {event.workflow_id: event.place for event in run.events() if event.place is not None}
    step = f"{lost}/reserve"
    assert places[step].parent == lost
    assert places[f"{step}/rollback"].kind is NodeKind.ROLLBACK
    assert EventKind.ROLLING_BACK not in {event.kind for event in run.events()}
    written = {index: each for (_, index), each in engine.store.results.items() if each.batch_id == run.id}
    assert set(written[0].result) == {"reserve", "charge", "ship"}
    assert written[1].failure is not None
    assert written[1].failure.type == "RolledBack"

    probe.fail.clear()
    assert (await run.retry([1])).accepted == [1]
    assert (await run.result()).counts.completed == 1
    assert probe.calls["reserve 1"] == 2, "it begins again"
    assert probe.calls["reserve 0"] == 1
    assert len(probe.idempotency["reserve 1"]) == 2, "what was undone is another piece of work"
