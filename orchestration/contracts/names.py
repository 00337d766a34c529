"""Names of task queues, workflows, activities, signals and error types, each spelled once."""

# Task queues

CHILD_TASK_QUEUE = "canopy"
DASHBOARD_TASK_QUEUE = "canopy-dashboard"
SCHEDULE_TASK_QUEUE = "canopy-schedules"

# Types of workflows

FAN_OUT_WORKFLOW = "FanOutWorkflow"
PIPELINE_WORKFLOW = "PipelineWorkflow"
SAGA_WORKFLOW = "SagaWorkflow"
SERVICES_WORKFLOW = "ServicesWorkflow"
STEPS_WORKFLOW = "StepsWorkflow"

CHUNK_WORKFLOW = "ChunkWorkflow"
ITEM_SAGA_WORKFLOW = "ItemSagaWorkflow"
DELEGATE_WORKFLOW = "DelegateWorkflow"
SERVICE_WORKFLOW = "ServiceWorkflow"
POOL_WORKER_WORKFLOW = "PoolWorkerWorkflow"
ENTITY_WORKFLOW = "EntityWorkflow"
RESOURCE_HOLD_WORKFLOW = "ResourceHoldWorkflow"

SCHEDULED_LAUNCH_WORKFLOW = "ScheduledLaunchWorkflow"
NOTIFICATION_WORKFLOW = "NotificationWorkflow"
PRUNE_WORKFLOW = "PruneWorkflow"

OWN_WORKFLOWS = frozenset(
    {
        *(FAN_OUT_WORKFLOW, PIPELINE_WORKFLOW, SAGA_WORKFLOW, SERVICES_WORKFLOW, STEPS_WORKFLOW),
        *(CHUNK_WORKFLOW, ITEM_SAGA_WORKFLOW, DELEGATE_WORKFLOW, SERVICE_WORKFLOW, POOL_WORKER_WORKFLOW),
        *(ENTITY_WORKFLOW, RESOURCE_HOLD_WORKFLOW, SCHEDULED_LAUNCH_WORKFLOW, NOTIFICATION_WORKFLOW),
        PRUNE_WORKFLOW,
    }
)
"""All of them: nobody else starts one."""

# Types of activities

NOTIFY_ACTIVITY = "notify"
DELIVER_ACTIVITY = "deliver"
GIVE_UP_DELIVERY_ACTIVITY = "give_up_delivery"
BEGIN_CHUNK_ACTIVITY = "begin_chunk"
PROCESS_CHUNK_ACTIVITY = "process_chunk"
RUN_STEP_ACTIVITY = "run_step"
RUN_STEP_OVER_STORED_ACTIVITY = "run_step_over_stored"
"""Another name than RUN_STEP_ACTIVITY: a worker of before does not know it, rather than run it with other data."""

PROCESS_ITEM_ACTIVITY = "process_item"
PENDING_ITEMS_ACTIVITY = "pending_items"
SUMMARISE_ACTIVITY = "summarise"
ADVANCE_ACTIVITY = "advance"
BEGIN_FAN_OUT_ACTIVITY = "begin_fan_out"
BEGIN_FAN_OUT_OVER_STORED_ACTIVITY = "begin_fan_out_over_stored"
CONDITION_HOLDS_ACTIVITY = "condition_holds"
KEEP_ANSWER_ACTIVITY = "keep_answer"
SUBMIT_ACTIVITY = "submit"
READ_SAGA_ITEM_ACTIVITY = "read_saga_item"
REFER_TO_SAGA_ITEM_ACTIVITY = "refer_to_saga_item"
WRITE_RESULT_ACTIVITY = "write_result"
WRITE_STORED_RESULTS_ACTIVITY = "write_stored_results"
READ_DELEGATION_ACTIVITY = "read_delegation"
RESULT_OF_ACTIVITY = "result_of"
READ_PAGE_ACTIVITY = "read_page"
READ_RESOURCES_ACTIVITY = "read_resources"
LACKING_CHILDREN_ACTIVITY = "lacking_children"
AWAIT_WORKFLOW_ACTIVITY = "await_workflow"
HOLD_RESOURCE_ACTIVITY = "hold_resource"
LAUNCH_SCHEDULED_ACTIVITY = "launch_scheduled"
PRUNE_ACTIVITY = "prune"
AWAIT_BATCH_ACTIVITY = "await_batch"

# Signals, updates and queries

PAUSE_SIGNAL = "pause"
RESUME_SIGNAL = "resume"
SET_WINDOW_SIGNAL = "set_window"
DECIDE_SIGNAL = "decide"
SKIP_SIGNAL = "skip"
FINISH_SIGNAL = "finish"

WORKER_REPORT_SIGNAL = "handed_back"
"""Sent by a pool worker or an entity to its coordinator, with a WorkerReport."""

CHILD_FAILURES_SIGNAL = "child_failures"
"""Sent by a partition to the head: how many more of its children have failed."""

ASSIGN_CHUNK_SIGNAL, DROP_CHUNK_SIGNAL, CLOSE_SIGNAL = "take", "drop", "close"
"""Sent to a pool worker; an entity has the last two as well."""

HOLD_OPERATIONS_SIGNAL, RESUME_OPERATIONS_SIGNAL = "hold", "resume"
"""Sent to an entity with the id of a batch's run that is paused, or goes on."""

RELEASE_SIGNAL = "release"
"""Ends a ResourceHoldWorkflow."""

ENTITY_SUBMIT_SIGNAL = "submit"
"""Sent to an entity, with an EntityOperation."""

RETRY_UPDATE = "retry"
SKIP_CHILDREN_UPDATE = "skip_children"

PROGRESS_QUERY = "progress"
STATE_QUERY = "state"
UNDELIVERED_EVENTS_QUERY = "untold"
"""Answered by a closed parent with the events that it could not deliver."""

# Refusals and error types

PARTITION_OPEN = "partition is running"
"""A root's refusal of a child whose partition is open: ask the partition."""

PARENT_CLOSING = "ParentClosing"
"""Type of the error with which a parent that is about to close refuses a retry: start it again."""

ASK_SIGNAL = "ask"
"""Does what an update about children does, where a run takes no further updates."""

ANSWER_QUERY = "answer"
"""Returns the answer to an ASK_SIGNAL."""
