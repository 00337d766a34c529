"""CanopyPlugin: a worker of any team that adds it tells Canopy what its parents and children do, as they do it.

    Worker(client, task_queue="orders", workflows=[…], plugins=[CanopyPlugin("https://canopy.example", token)])

Nothing of its workflows changes: neither their code nor their histories. What cannot be told, because the dashboard is
away or slow, is dropped: the dashboard finds it out by itself, a little later.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from pydantic import TypeAdapter
from temporalio import workflow
from temporalio.exceptions import CancelledError, FailureError, is_cancelled_exception
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from orchestration.contracts import Failure, Status
from orchestration.supervisor import failure_of

log = logging.getLogger(__name__)

TOLD_PATH = "/api/v1/watches/events"
EXTERN = "__canopy_tell"

EVENTS_PER_CALL = 500
CAPACITY = 10_000
"""Events that wait at most; the oldest go first."""

TOGETHER = 0.2
"""Seconds that events are waited for, to be told with the first of them."""

TIMEOUT = 5.0
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries while the dashboard is away."""

FAREWELL = 2.0
"""Seconds that a worker which stops waits at most for its last events."""


@dataclass(frozen=True)
class Told:
    """A run that has started, or with a `status` has closed. Ids are of workflows; a root has no `parent`."""

    root: str
    root_run_id: str
    parent: str
    workflow_id: str
    run_id: str
    workflow_type: str
    at: datetime
    status: Status | None = None
    failure: Failure | None = None


ALL_TOLD = TypeAdapter(list[Told])


class Teller:
    """Sends events in a thread of its own. `tell` never waits, and never raises."""

    def __init__(self, url: str, token: str, *, capacity: int = CAPACITY) -> None:
        self._url, self._token = f"{url.rstrip('/')}{TOLD_PATH}", token
        self._waiting = deque[Told](maxlen=capacity)
        self._bell, self._over = threading.Event(), threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many events have not been told yet."""
        return len(self._waiting)

    def tell(self, event: Told) -> None:
        """Have an event told soon."""
        self._waiting.append(event)
        if not self._is_running:
            self._start()
        self._bell.set()

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        with self._starting:
            if not self._is_running:
                self._over.clear()
                self._thread = threading.Thread(target=self._run, name="canopy-teller", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Tell what is left, if the dashboard takes it at once. What is told afterwards starts it anew."""
        self._over.set()
        self._bell.set()
        if self._thread is not None:
            self._thread.join(FAREWELL)

    def _run(self) -> None:
        failed = 0
        with httpx.Client(
            headers={"Authorization": f"Bearer {self._token}"}, timeout=TIMEOUT, trust_env=False
        ) as client:
            while self._waiting or not self._over.is_set():
                self._bell.wait()
                self._bell.clear()
                self._over.wait(TOGETHER)
                while self._waiting:
                    if self._send(client):
                        failed = 0
                        continue
                    failed += 1
                    if self._over.wait(PAUSES[min(failed, len(PAUSES)) - 1]):
                        return

    def _send(self, client: httpx.Client) -> bool:
        """Send what waits, so many at a time that no call is large, and return whether the dashboard took it."""
        events = [self._waiting.popleft() for _ in range(min(EVENTS_PER_CALL, len(self._waiting)))]
        try:
            answer = client.post(
                self._url, content=ALL_TOLD.dump_json(events), headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError as error:
            log.info("Canopy is away (%s): %s events wait.", type(error).__name__, len(events) + len(self._waiting))
        else:
            if answer.is_success:
                return True
            log.warning("Canopy does not take events: %s %s", answer.status_code, answer.text[:200])
            if answer.is_client_error:
                return False  # nor would it take them another time
        room = (self._waiting.maxlen or 0) - len(self._waiting)
        self._waiting.extendleft(reversed(events[max(0, len(events) - room) :]))
        return False


class _Telling(WorkflowInboundInterceptor):
    """Tells of the start and the end of a workflow, unless history is only replayed."""

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002  the SDK's name
        _tell(workflow.info().workflow_start_time)
        try:
            result = await super().execute_workflow(input)
        except (asyncio.CancelledError, CancelledError):
            _tell(workflow.now(), Status.CANCELED, Failure("Canceled", "Canceled."))
            raise
        except FailureError as error:
            status = Status.CANCELED if is_cancelled_exception(error) else Status.FAILED
            _tell(workflow.now(), status, failure_of(error))
            raise
        _tell(workflow.now(), Status.COMPLETED)
        return result


def _tell(at: datetime, status: Status | None = None, failure: Failure | None = None) -> None:
    info = workflow.info()
    goes_on = info.continued_run_id is not None and info.attempt == 1 and not info.cron_schedule
    if workflow.unsafe.is_replaying() or (goes_on and status is None):
        return
    told = Told(
        root=info.root.workflow_id if info.root is not None else info.workflow_id,
        root_run_id=info.root.run_id if info.root is not None else info.first_execution_run_id,
        parent=info.parent.workflow_id if info.parent is not None else "",
        workflow_id=info.workflow_id,
        run_id=info.first_execution_run_id if goes_on else info.run_id,
        workflow_type=info.workflow_type,
        at=at,
        status=status,
        failure=failure,
    )
    with workflow.unsafe.sandbox_unrestricted():
        workflow.extern_functions()[EXTERN](told)


class _Interceptor(Interceptor):
    """Puts _Telling around every workflow of a worker."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002  the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        input.unsafe_extern_functions[EXTERN] = self._teller.tell
        return _Telling


class CanopyPlugin(SimplePlugin):
    """Tells the Canopy at an address what the workflows of a worker do.

    Takes the dashboard's address and an operator's API token. A parent whose child starts is watched from then on. One
    plugin may serve any number of workers, of a client's too.
    """

    def __init__(self, url: str, token: str) -> None:
        self.teller = Teller(url, token)
        self._workers = 0
        super().__init__("canopy", interceptors=[_Interceptor(self.teller)], run_context=self._while_it_runs)

    @asynccontextmanager
    async def _while_it_runs(self) -> AsyncIterator[None]:
        self._workers += 1
        try:
            yield
        finally:
            self._workers -= 1
            if not self._workers:
                await asyncio.to_thread(self.teller.close)
