"""Watching external workflows: rows come only from Temporal's visibility, and only operators may watch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from pytest_django import Settings
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, ChildWorkflowError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from dashboard.actions import batch as batch_actions
from dashboard.actions import operations
from dashboard.actions.targets import Targets
from dashboard.errors import OperationError
from dashboard.launching import watch as watching
from dashboard.launching.watch import UnknownWorkflow
from dashboard.models import Batch, Node
from dashboard.reconciliation.reconciler import BatchReconciler
from dashboard.temporal import gateway
from tests.support.external_sample import Order, ProcessOrder, ProcessOrders, pack
from tests.support.oracle import assert_consistent
from tests.support.stack import TemporalServer
from tests.support.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "watched-orders"


@workflow.defn
class Lasting:
    """Starts a child in each of three runs that are one."""

    @workflow.run
    async def run(self, number: int) -> int:
        above = workflow.info().workflow_id
        await workflow.execute_child_workflow(ProcessOrder.run, Order(f"{number}"), id=f"{above}/{number}")
        if number < 3:
            workflow.continue_as_new(number + 1)
        return number


@workflow.defn
class Forsaken:
    """Waits for a child that no worker takes."""

    @workflow.run
    async def run(self) -> None:
        above = workflow.info().workflow_id
        await workflow.execute_child_workflow(ProcessOrder.run, Order("one"), id=f"{above}/one", task_queue="nobody")


@workflow.defn
class Flaky:
    """Fails in its first run, and continues as new in the one that its policy starts."""

    @workflow.run
    async def run(self, number: int) -> int:
        if workflow.info().attempt == 1 and number == 0:
            raise ApplicationError("out of stock", type="OutOfStock")
        if number < 2:
            workflow.continue_as_new(number + 1)
        return number


@workflow.defn
class Retried:
    """Has a child that Temporal retries by its policy, and one that is as it should be."""

    @workflow.run
    async def run(self) -> None:
        above, policy = workflow.info().workflow_id, RetryPolicy(initial_interval=timedelta(milliseconds=10))
        flaky = workflow.execute_child_workflow(Flaky.run, 0, id=f"{above}/flaky", retry_policy=policy)
        await asyncio.gather(flaky, workflow.execute_child_workflow(Flaky.run, 2, id=f"{above}/plain"))


@workflow.defn
class Chain:
    """Fails in its third run, which continues the second."""

    @workflow.run
    async def run(self, number: int) -> None:
        if number < 2:
            workflow.continue_as_new(number + 1)
        raise ApplicationError("failed in its third run", non_retryable=True)


@workflow.defn
class ChainParent:
    """Waits, whatever becomes of its child."""

    @workflow.run
    async def run(self) -> None:
        with contextlib.suppress(ChildWorkflowError):
            await workflow.execute_child_workflow(Chain.run, 0, id=f"{workflow.info().workflow_id}/leaf")
        await workflow.wait_condition(lambda: False)


@pytest.fixture(autouse=True)
def address(temporal_server: TemporalServer, settings: Settings) -> Iterator[None]:
    settings.TEMPORAL_ADDRESS = temporal_server.address
    gateway.cache_clear()
    yield
    gateway.cache_clear()


@pytest.fixture
async def sample(temporal_server: TemporalServer) -> AsyncIterator[Client]:
    client = await Client.connect(temporal_server.address)
    workflows = [ProcessOrder, ProcessOrders, Lasting, Forsaken, Flaky, Retried, Chain, ChainParent]
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=QUEUE, workflows=workflows, activities=[pack], workflow_runner=runner):
        yield client


async def watched(person: User, workflow_id: str) -> Batch:
    """Watch a workflow until nothing of it runs, without a reconciler beside."""
    found = await sync_to_async(watching.watch)(person, workflow_id)
    watch = BatchReconciler(found.batch.pk, is_ours=False)
    await until(watch.compare, f"{workflow_id} is settled", deadline=120)
    await found.batch.arefresh_from_db()
    await sync_to_async(assert_consistent)(found.batch.pk)
    return found.batch


async def test_a_large_tree_is_projected_completely_in_any_order_of_listing(sample: Client, operator: User) -> None:
    orders = [Order(f"{box}", parts=[Order(f"{part}") for part in range(25)]) for box in range(5)]
    name = f"orders-{uuid4().hex[:6]}"
    await sample.execute_workflow("ProcessOrders", orders, id=name, task_queue=QUEUE)
    batch = await watched(operator, f"{name}/3/7")
    assert batch.watched_id == name
    assert (batch.status, batch.child_count, batch.children_completed) == ("completed", 125, 125)
    kinds = [kind async for kind in Node.objects.filter(batch=batch).order_by("kind").values_list("kind", flat=True)]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"root": 1, "parent": 5, "child": 125}
    leaf = await Node.objects.select_related("parent__parent").aget(batch=batch, workflow_id=f"{name}/3/7")
    assert leaf.parent is not None
    assert (leaf.label, leaf.parent.workflow_id) == ("ProcessOrder", f"{name}/3")
    assert (leaf.parent.children_completed, leaf.parent.status) == (25, "completed")


async def test_a_tree_with_ids_that_begin_like_ours_is_offered_and_watched(sample: Client, operator: User) -> None:
    name = f"batch-of-{uuid4().hex[:6]}"
    await sample.execute_workflow("ProcessOrders", [Order("one"), Order("two")], id=name, task_queue=QUEUE)

    async def offered() -> bool:
        found = await sync_to_async(watching.suggested_parents)(name)
        return [seen.workflow_id for seen in found] == [name]

    await until(offered, "it is offered")
    batch = await watched(operator, name)
    assert (batch.status, batch.children_completed) == ("completed", 2)


async def test_a_root_that_continued_as_new_has_the_children_of_all_its_runs(sample: Client, operator: User) -> None:
    name = f"lasting-{uuid4().hex[:6]}"
    assert await sample.execute_workflow(Lasting.run, 1, id=name, task_queue=QUEUE) == 3
    batch = await watched(operator, name)
    assert (batch.status, batch.child_count) == ("completed", 3)
    root = await Node.objects.aget(batch=batch, kind="root")
    assert (root.attempt, await root.attempts.acount()) == (1, 1)


async def test_who_may_watch_what(sample: Client, operator: User) -> None:
    name = f"orders-{uuid4().hex[:6]}"
    await sample.execute_workflow("ProcessOrders", [Order("one")], id=name, task_queue=QUEUE)
    with pytest.raises(PermissionDenied):
        await sync_to_async(watching.watch)(AnonymousUser(), name)
    with pytest.raises(UnknownWorkflow, match="nobody's"):
        await sync_to_async(watching.watch)(operator, "nobody's")
    batch = await watched(operator, name)
    assert not (await sync_to_async(watching.watch)(operator, f"{name}/one")).created
    for operate in (batch_actions.pause, batch_actions.resume):
        with pytest.raises(OperationError, match="only watches"):
            await sync_to_async(operate)(operator, batch)
    with pytest.raises(OperationError, match="not running"):
        await sync_to_async(batch_actions.cancel)(operator, batch)
    child = await Node.objects.aget(batch=batch, kind="child")
    outcome = await sync_to_async(operations.retry)(operator, batch, Targets([child.pk]))
    assert [refusal.reason for refusal in outcome.refused] == ["already completed"]


async def test_a_workflow_that_no_worker_has_started_cannot_be_reset(sample: Client, operator: User) -> None:
    name = f"forsaken-{uuid4().hex[:6]}"
    await sample.start_workflow(Forsaken.run, id=name, task_queue=QUEUE)
    found = await sync_to_async(watching.watch)(operator, name)
    child = Node.objects.filter(batch=found.batch, kind="child")
    watch = BatchReconciler(found.batch.pk, is_ours=False)

    async def appears() -> bool:
        await watch.compare()
        return await child.aexists()

    await until(appears, "the child is seen")
    await sync_to_async(batch_actions.terminate)(operator, found.batch, "the test")
    batch = await watched(operator, name)
    assert (batch.status, batch.children_terminated) == ("terminated", 1)
    outcome = await sync_to_async(operations.retry)(operator, batch, Targets(status="failed"))
    assert "no worker had started it" in outcome.refused[0].reason


async def test_each_run_that_temporal_retries_is_an_attempt_and_what_continues_is_none(
    sample: Client, operator: User
) -> None:
    name = f"retried-{uuid4().hex[:6]}"
    await sample.execute_workflow(Retried.run, id=name, task_queue=QUEUE)
    batch = await watched(operator, name)
    assert (batch.status, batch.children_completed, batch.child_count) == ("completed", 2, 2)
    flaky = await Node.objects.aget(batch=batch, workflow_id=f"{name}/flaky")
    attempts = flaky.attempts.order_by("number").values_list("number", "status", "error_type")
    assert [each async for each in attempts] == [(1, "failed", "OutOfStock"), (2, "completed", "")]


async def test_a_leaf_that_continues_as_new_runs_again_as_another_attempt(sample: Client, operator: User) -> None:
    name = f"chain-{uuid4().hex[:6]}"
    handle = await sample.start_workflow(ChainParent.run, id=name, task_queue=QUEUE)
    found = await sync_to_async(watching.watch)(operator, name)
    watch = BatchReconciler(found.batch.pk, is_ours=False)

    async def attempt() -> tuple[str, int]:
        await watch.compare()
        leaf = await Node.objects.filter(batch=found.batch, workflow_id=f"{name}/leaf").afirst()
        return (leaf.status, leaf.attempt) if leaf is not None else ("", 0)

    async def failed(number: int) -> None:
        async def has_failed() -> bool:
            return await attempt() == ("failed", number)

        await until(has_failed, f"attempt {number} has failed")

    await failed(1)
    outcome = await sync_to_async(operations.retry)(operator, found.batch, Targets(status="failed"))
    assert len(outcome.accepted) == 1
    await failed(2)
    await handle.terminate("the test is over")
    await watched(operator, name)
