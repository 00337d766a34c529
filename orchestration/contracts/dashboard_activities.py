"""Arguments and results of the activities that run in the web process."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Notification:
    """Input of a notification workflow: the delivery as the dashboard has recorded it."""

    delivery_id: str


@dataclass(frozen=True)
class ScheduledLaunchInput:
    """Input of the workflow that a schedule starts at each of its times."""

    schedule_id: str


@dataclass(frozen=True)
class DueLaunch:
    """A launch that is due: its nominal time `at`, and the first `run_id` of the workflow that the schedule started.

    Both make the idempotency key: two triggers in one second have the same nominal time.
    """

    schedule_id: str
    at: datetime
    run_id: str

    @property
    def key(self) -> str:
        """The idempotency key: a retry of the same launch finds the same batch."""
        return f"schedule:{self.schedule_id}:{self.at.isoformat()}:{self.run_id}"


@dataclass(frozen=True)
class LaunchedBatch:
    """The batch of a scheduled launch; an empty id where there is none to wait for."""

    batch_id: str


@dataclass(frozen=True)
class PruneInput:
    """Input of the workflow and of the activity that delete what is due: who asked for it."""

    by: str = "schedule"


@dataclass(frozen=True)
class PruneResult:
    """How much was deleted."""

    batches: int = 0
    rows: int = 0
