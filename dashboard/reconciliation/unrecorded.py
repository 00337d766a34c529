"""Workflows of a batch that have run and have no row: the database was restored from a state before they were begun.

Pages of an input and stages of a pipeline are written again from what they were made of. Their runs are then known, and
children whose results are gone say so, to be run again. How many are left without a row is noted at the batch.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Set
from datetime import UTC, datetime

from django.db.models import F

from dashboard.chunk_store import input_pages, sections
from dashboard.database.bulk import slices
from dashboard.database.threads import in_thread
from dashboard.definitions.stages import sections_of, stages_of
from dashboard.live import doorbell
from dashboard.models import Batch, Node
from dashboard.projection.ledger import open_ledger
from dashboard.reconciliation.places import PLANNED
from dashboard.reconciliation.repair import NOTIFY_HEAD_START, repair_listed
from dashboard.temporal import gateway
from orchestration.contracts.events import NodeKind
from orchestration.contracts.fan_out import PageRequest
from orchestration.contracts.flows import SectionRequest
from orchestration.contracts.status import RESULTS_LOST, Status
from orchestration.contracts.stores import InputUnreadable
from orchestration.contracts.workflow_ids import root_id

log = logging.getLogger(__name__)

SECTION = re.compile(r"batch-[0-9a-f]{12}/s\d")
"""Beginning of the ids of what belongs to a section of a flow."""


async def take_over_unrecorded(batch: Batch) -> None:
    """Write rows for workflows that have none, as far as that is possible, and note how many are left."""
    unknown = await _without_rows(batch)
    while unknown and await in_thread(_write_again)(batch.pk, unknown):
        await repair_listed(batch, None)
        unknown = await _without_rows(batch)
    if await in_thread(_note)(batch.pk, len(unknown)):
        log.warning("Batch %s: %s of its workflows have run and have no row.", batch.pk, len(unknown))
        await doorbell.announce_change(batch.pk)


async def _without_rows(batch: Batch) -> set[str]:
    """Return the workflows of a batch that its rows do not have, without those that have only just begun.

    Sections from before a retry of what was lost count no more: it has begun all that there are now anew.
    """
    before, retried_at = datetime.now(UTC) - NOTIFY_HEAD_START, await in_thread(_retried_at)(batch.pk)
    found = set[str]()
    async for run in gateway().runs(batch.workflows):
        is_former = retried_at is not None and run.started_at < retried_at and SECTION.match(run.workflow_id)
        if run.workflow_type in PLANNED and run.started_at < before and not is_former:
            found.add(run.workflow_id)
    return await in_thread(_unknown)(batch.pk, found)


def _retried_at(batch_id: str) -> datetime | None:
    """Return when a batch's root began again after a loss was noticed; None if it did not."""
    root = Node.objects.filter(batch=batch_id, kind=NodeKind.ROOT, started_at__gt=F("batch__lost_at"))
    return root.values_list("started_at", flat=True).first()


def _unknown(batch_id: str, found: Set[str]) -> set[str]:
    unknown = set(found)
    for some in slices(list(found)):
        unknown.difference_update(
            Node.objects.filter(batch=batch_id, workflow_id__in=some).values_list("workflow_id", flat=True)
        )
    return unknown


def _write_again(batch_id: str, unknown: Set[str]) -> bool:
    """Write what some workflows were begun for, if it can be made again; return whether rows have come of it."""
    batch = Batch.objects.get(pk=batch_id)
    try:
        return _write_pages(batch, unknown) if batch.plan.paged else _write_section(batch, unknown)
    except (LookupError, InputUnreadable) as error:
        log.warning("Batch %s: what its database has lost cannot be written again: %s", batch_id, error)
        return False


def _write_pages(batch: Batch, unknown: Set[str]) -> bool:
    last = _largest(batch, r"/p(\d+)", unknown)
    if last < batch.partition_count or batch.reading.get("is_last", True):
        return False
    input_pages.read_page(PageRequest(batch.pk, last))
    return Batch.objects.get(pk=batch.pk).partition_count > batch.partition_count


def _write_section(batch: Batch, unknown: Set[str]) -> bool:
    """Write the next section of a pipeline whose last one is known as a whole; a retry begins it in other cases."""
    known, stages = sections_of(batch), stages_of(batch.definition_id)
    is_closed = Status(Node.objects.get(batch=batch, kind=NodeKind.ROOT).status).is_outcome
    if batch.processor != "pipeline" or not known or not is_closed or _largest(batch, r"/s(\d+)", unknown) < len(known):
        return False
    stage, number = known[-1].stage + 1, known[-1].number + 1
    has_lost = Node.objects.filter(batch=batch, kind=NodeKind.CHILD, error_type=RESULTS_LOST).exists()
    if has_lost or stage >= len(stages):
        return False
    return sections.advance(SectionRequest(batch.pk, number, stage)).items > 0


def _largest(batch: Batch, pattern: str, unknown: Set[str]) -> int:
    """Return the largest number of a part of the ids of some workflows, -1 if none has it."""
    part = re.compile(re.escape(root_id(batch.pk)) + pattern)
    return max((int(found[1]) for each in unknown if (found := part.match(each))), default=-1)


def _note(batch_id: str, number: int) -> bool:
    """Note how many workflows have no row, and return whether that is news."""
    with open_ledger(batch_id) as ledger:
        batch = ledger.batch
        is_new, batch.unrecorded = batch.unrecorded != number, number
        if number and batch.lost_at is None:
            batch.lost_at = ledger.at
        return is_new
