"""NotificationWorkflow: sends one notification, again and again until it has arrived or a day has passed."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.dashboard_activities import Notification
    from orchestration.contracts.names import DASHBOARD_TASK_QUEUE, DELIVER_ACTIVITY, GIVE_UP_DELIVERY_ACTIVITY
    from orchestration.engine.store_activities import UNTIL_IT_WORKS
    from orchestration.temporal.deployment import FOLLOWS_CURRENT

SEND_TIMEOUT = timedelta(seconds=30)
SEND_WITHIN = timedelta(days=1)
SEND_RETRY = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=10))
GIVE_UP_TIMEOUT = timedelta(minutes=1)


@workflow.defn(versioning_behavior=FOLLOWS_CURRENT)
class NotificationWorkflow:
    """Have the dashboard send a notification. One that is refused, or does not arrive within a day, is given up."""

    @workflow.run
    async def run(self, given: Notification) -> bool:
        """Return whether it arrived."""
        try:
            await workflow.execute_activity(
                DELIVER_ACTIVITY,
                given,
                task_queue=DASHBOARD_TASK_QUEUE,
                start_to_close_timeout=SEND_TIMEOUT,
                schedule_to_close_timeout=SEND_WITHIN,
                retry_policy=SEND_RETRY,
            )
        except ActivityError:
            await workflow.execute_activity(
                GIVE_UP_DELIVERY_ACTIVITY,
                given,
                task_queue=DASHBOARD_TASK_QUEUE,
                start_to_close_timeout=GIVE_UP_TIMEOUT,
                retry_policy=UNTIL_IT_WORKS,
            )
            return False
        return True
