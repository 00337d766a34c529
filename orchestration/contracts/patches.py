"""Ids of patches: changes of what running workflows do, each guarded by `workflow.patched`."""

CHUNK_HAS_ALL_RESULTS = "chunk-has-all-results"
"""A chunk fails whose counts are smaller than its length; before, it completed."""

LOST_ITEM_ALONE = "lost-item-alone"
"""An item's activity that is lost runs again and fails that item alone; before, it failed its chunk at once."""

LOST_STEP_AGAIN = "lost-step-again"
"""A step's activity that is lost with its last attempt runs again, until the step is counted out; before, it failed."""

CANCEL_IS_HEARD = "cancel-is-heard"
"""A cancellation that an await swallowed ends the flow at the next step, and clean-up is never held up."""

END_STANDS = "end-stands"
"""What has been done is written and reported although a cancellation comes meanwhile; before, it was given up."""

STOP_ENDS_WAIT = "stop-ends-wait"
"""A parent that stops no longer waits for the resources of its children, and one that is paused starts none of them."""

ROLLBACK_HOLDS_RESOURCE = "rollback-holds-resource"
"""A rollback holds the resource of what it undoes; before, it ran beside others that used it."""

LARGE_INPUTS_APART = "large-inputs-apart"
"""Inputs of steps that together exceed a message of Temporal are sent in several workflow tasks."""

STEP_RESULTS_STORED = "step-results-stored"
"""A large result of a step goes to the store, and a reference to the history; before, all were in the history."""

PAUSE_HOLDS_HANDOFF = "pause-holds-handoff"
"""What waited for a worker, a resource or its insert while the batch was paused waits on; before, it then started."""

RECORD_DECIDES = "record-decides"
"""A child that Temporal has completed runs again where the record lacks its results; before, it counted as done."""
