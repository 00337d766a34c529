"""Arguments and results of the activities that run in the web process."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Notification:
    """A notification to a person, as the dashboard has written it down."""

    delivery_id: str


@dataclass(frozen=True)
class ScheduledLaunchInput:
    """What a schedule starts at each of its times."""

    schedule_id: str


@dataclass(frozen=True)
class DueLaunch:
    """A launch that is due: `at` is its nominal time, `run_id` the first run of what the schedule started then.

    Together they name the batch once and for all; a nominal time alone may be that of two triggers in one second.
    """

    schedule_id: str
    at: datetime
    run_id: str

    @property
    def key(self) -> str:
        """The idempotency key: another try of the same launch finds the same batch."""
        return f"schedule:{self.schedule_id}:{self.at.isoformat()}:{self.run_id}"


@dataclass(frozen=True)
class LaunchedBatch:
    """What a scheduled launch made: a batch, or with an empty id nothing that is worth waiting for."""

    batch_id: str
