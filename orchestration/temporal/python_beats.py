"""Heartbeats that Python sends beside those of the SDK, which its native core sends though Python stands still.

They come from the worker's event loop, as records of their own in Temporal's list of workers: with the worker's
identity, a name that says what they are, and what only Python knows of the worker.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import PluginInfo, WorkerHeartbeat, WorkerHostInfo
from temporalio.api.workflowservice.v1 import RecordWorkerHeartbeatRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

log = logging.getLogger(__name__)

BEAT_EVERY = timedelta(seconds=2.5)
"""Four missed ones make a worker that does not answer: 10 s, which a busy machine alone does not take."""

SENT_WITHIN = timedelta(seconds=5)
KEY = "canopy-python/"
"""Begins the instance keys of these records."""

STUCK = "canopy-stuck-threads/"
"""Begins the names of the plugins by which a record tells its stuck threads: then the processor's. Their version is the
number."""

LAG = "canopy-loop-lag"
"""Name of the plugin by which a record tells by how many seconds the event loop was late, as its version."""


def is_python_beat(beat: WorkerHeartbeat) -> bool:
    """Whether a record of the list of workers is one of these."""
    return beat.worker_instance_key.startswith(KEY)


def stuck_threads_of(beat: WorkerHeartbeat) -> dict[str, int]:
    """Return the number of stuck threads by processor that a record tells."""
    told = {each.name.removeprefix(STUCK): each.version for each in beat.plugins if each.name.startswith(STUCK)}
    return {name: int(number) for name, number in told.items() if number.isdecimal()}


def loop_lag_of(beat: WorkerHeartbeat) -> float:
    """Return by how many seconds the event loop was late, as a record tells; 0 where it does not."""
    told = next((each.version for each in beat.plugins if each.name == LAG), "")
    try:
        return max(0.0, float(told or 0))
    except ValueError:
        return 0.0


class PythonBeats:
    """Sends a record for each queue of a worker process every BEAT_EVERY, from the running event loop."""

    def __init__(self, client: Client, queues: Sequence[str], stuck: Callable[[], Mapping[str, int]]) -> None:
        self.client, self._queues, self._stuck, self._lag = client, queues, stuck, 0.0
        self._key, self._started_at = f"{KEY}{uuid4().hex}", datetime.now(UTC)
        self.identity = client.service_client.config.identity or client.identity

    async def send(self) -> bool:
        """Send one record for each queue; return whether the server takes such records."""
        try:
            await self.client.workflow_service.record_worker_heartbeat(self._request(), timeout=SENT_WITHIN)
        except RPCError as error:
            if error.status is RPCStatusCode.UNIMPLEMENTED:
                log.info("This Temporal takes no heartbeats of workers.")
                return False
            log.debug("A heartbeat was not taken: %s", error)
        except (OSError, RuntimeError, TimeoutError) as error:
            log.debug("A heartbeat was not sent: %s", error)
        return True

    async def send_until_canceled(self) -> None:
        """Send records for as long as the server takes them."""
        clock = asyncio.get_running_loop().time
        while await self.send():
            due = clock() + BEAT_EVERY.total_seconds()
            await asyncio.sleep(BEAT_EVERY.total_seconds())
            self._lag = clock() - due

    def _request(self) -> RecordWorkerHeartbeatRequest:
        request = RecordWorkerHeartbeatRequest(namespace=self.client.namespace, identity=self.identity)
        told = [PluginInfo(name=f"{STUCK}{name}", version=str(number)) for name, number in self._stuck().items()]
        told.append(PluginInfo(name=LAG, version=f"{self._lag:.3f}"))
        for queue in self._queues:
            beat = WorkerHeartbeat(
                worker_instance_key=f"{self._key}/{queue}",
                worker_identity=self.identity,
                host_info=WorkerHostInfo(host_name=socket.gethostname(), process_id=str(os.getpid())),
                task_queue=queue,
                sdk_name="canopy-python",
                status=WorkerStatus.WORKER_STATUS_RUNNING,
                plugins=told,
            )
            beat.start_time.FromDatetime(self._started_at)
            beat.heartbeat_time.FromDatetime(datetime.now(UTC))
            beat.elapsed_since_last_heartbeat.FromTimedelta(BEAT_EVERY)
            request.worker_heartbeat.append(beat)
        return request
