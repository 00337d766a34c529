"""The record: everything Canopy stores, one noun a file."""

from dashboard.models.accounts import ApiToken, TokenKind, TokenRole, TokenUse
from dashboard.models.batches import GENERATION, Batch, Tally
from dashboard.models.choices import (
    BY_INTEREST,
    FAILURES,
    HALTED,
    NOT_COMPLETED,
    OPEN_BATCH_STATUSES,
    PARENT_KINDS,
    SHOWN_BY_INTEREST,
    BatchStatus,
    Hold,
    NodeStatus,
)
from dashboard.models.definitions import DefinitionVersion, SavedDefinition, VersionIsImmutable
from dashboard.models.flow_states import FlowStateRecord
from dashboard.models.history import AuditEntry, Moment, Report, UnansweredCommand
from dashboard.models.inbox import InboxEntry, Need
from dashboard.models.items import BegunItem, Item, ItemQuerySet
from dashboard.models.labels import MOST_TAGS, TAG_LENGTH, BatchTag, SavedView, SavedViewQuerySet
from dashboard.models.leases import CommonValue, Lease, StaticFile, ThrottleCount
from dashboard.models.nodes import Attempt, Node
from dashboard.models.notifications import Channel, Delivery, DeliveryStatus, Occasion, Subscription
from dashboard.models.operations import Action, Operation, position_ranges, positions_in
from dashboard.models.retention import CLOSED_STATUSES, DeletedBatch, PruneRun, RetentionRule
from dashboard.models.schedules import Schedule, ScheduleEntry
from dashboard.models.step_results import StepResult
from dashboard.models.uploads import Upload, UploadPart, new_upload_id

__all__ = [
    "BY_INTEREST",
    "CLOSED_STATUSES",
    "FAILURES",
    "GENERATION",
    "HALTED",
    "MOST_TAGS",
    "NOT_COMPLETED",
    "OPEN_BATCH_STATUSES",
    "PARENT_KINDS",
    "SHOWN_BY_INTEREST",
    "TAG_LENGTH",
    "Action",
    "ApiToken",
    "Attempt",
    "AuditEntry",
    "Batch",
    "BatchStatus",
    "BatchTag",
    "BegunItem",
    "Channel",
    "CommonValue",
    "DefinitionVersion",
    "DeletedBatch",
    "Delivery",
    "DeliveryStatus",
    "FlowStateRecord",
    "Hold",
    "InboxEntry",
    "Item",
    "ItemQuerySet",
    "Lease",
    "Moment",
    "Need",
    "Node",
    "NodeStatus",
    "Occasion",
    "Operation",
    "PruneRun",
    "Report",
    "RetentionRule",
    "SavedDefinition",
    "SavedView",
    "SavedViewQuerySet",
    "Schedule",
    "ScheduleEntry",
    "StaticFile",
    "StepResult",
    "Subscription",
    "Tally",
    "ThrottleCount",
    "TokenKind",
    "TokenRole",
    "TokenUse",
    "UnansweredCommand",
    "Upload",
    "UploadPart",
    "VersionIsImmutable",
    "new_upload_id",
    "position_ranges",
    "positions_in",
]
