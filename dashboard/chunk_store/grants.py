"""Which chunks Temporal has given to which task queue: a remote worker's word counts for those alone.

A run of a child is known from its attempt, or Temporal is asked for it; a task queue from the plan. What was found is
kept, since a worker sends results of one chunk again and again.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from asgiref.sync import async_to_sync
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, TextField
from django.db.models.functions import Cast

from dashboard.definitions.stages import definition_of, stages_of
from dashboard.models import PARENT_KINDS, Attempt, Batch, DefinitionVersion, Node, Operation
from dashboard.server.recently_used import RecentlyUsed
from dashboard.temporal import gateway
from orchestration.contracts.chunks import BegunItems, ChunkInput, ChunkNote, ItemResult
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from orchestration.definitions.models import Services

GRANTS_KEPT = 20_000
LOOKUPS_AT_ONCE = 20

PART_OF_RUN = re.compile(r"(?P<parent>[^/]+)/\d+(\.\d+)?")
"""Run id of a chunk that is no workflow itself: its parent's, and its number there."""


ABOVE_CHILDREN = (NodeKind.ROOT, *PARENT_KINDS, NodeKind.ENTITY, NodeKind.POOL_WORKER)

Key = tuple[str, str, bool]
"""What a grant is kept under: batch, run, and whether the run undoes."""


class NotGiven(Exception):
    """Temporal has not given this chunk, or this run of it, to anybody."""


class OtherQueue(PermissionDenied):
    """The chunk belongs to a task queue that the token is not for."""


@dataclass(frozen=True)
class Grant:
    """A run of a chunk that a queue was given: of which child, and the indices of its items."""

    child: int
    queue: str
    first: int
    last: int


@dataclass(frozen=True)
class Claim:
    """What a worker says to have been given: a run, and some of its items. `child` is None where it does not say."""

    batch_id: str
    run_id: str
    indices: Sequence[int]
    child: int | None = None
    undo: bool = False

    @property
    def key(self) -> Key:
        """What a grant is kept under."""
        return self.batch_id, self.run_id, self.undo


_known = RecentlyUsed[Key, Grant](GRANTS_KEPT)
_lock = threading.Lock()


def check_chunk(work: ChunkInput, run_id: str, queues: Collection[str] | None) -> None:
    """Check that a queue was given a chunk that is to be read; errors as of `check`."""
    indices = (work.offset, work.offset + work.length - 1) if work.length else ()
    check([Claim(work.batch_id, run_id, indices, work.child, work.undo)], queues)


def check_results(results: Iterable[ItemResult], queues: Collection[str] | None) -> None:
    """Check that queues were given the chunks of results; errors as of `check`."""
    claims = defaultdict[tuple[str, int, str, bool], list[int]](list)
    for each in results:
        claims[each.batch_id, each.child, each.run_id, each.undone].append(each.index)
    check([Claim(batch, run, indices, child, undo) for (batch, child, run, undo), indices in claims.items()], queues)


def check_begun(begun: BegunItems, queues: Collection[str] | None) -> None:
    """Check that a queue was given the chunk of items that are noted as begun; errors as of `check`."""
    if begun.indices:
        check([Claim(begun.batch_id, begun.run_id, begun.indices)], queues)


def check_note(note: ChunkNote, queues: Collection[str] | None) -> bool:
    """Check that a queue was given the chunk of a note; errors as of `check`. Return whether the note counts.

    A worker of before says no run: then the newest one counts, as long as it runs.
    """
    run_id = note.run_id
    if not run_id:
        running = Node.objects.filter(
            batch=note.batch_id, kind=NodeKind.CHILD, position=note.child, status=Status.RUNNING
        )
        run_id = running.values_list("run_id", flat=True).first() or ""
        if not run_id:
            return False
    check([Claim(note.batch_id, run_id, (), note.child)], queues)
    return True


def check_flow(batch_id: str, queues: Collection[str] | None, *, writes: bool = False) -> None:
    """Check that queues run steps of a batch, for results of steps. Raises OtherQueue, and NotGiven for a closed batch.

    A batch that does not exist passes.
    """
    batch = Batch.objects.filter(pk=batch_id).first()
    if batch is None:
        return
    if queues is not None and queues_of(batch).isdisjoint(queues):
        raise OtherQueue(f"This token is not for a task queue of batch {batch_id}.")
    if writes and not batch.is_open:
        raise NotGiven(f"Batch {batch_id} has ended: none of its steps runs.")


def check(claims: Sequence[Claim], queues: Collection[str] | None) -> None:
    """Check what a worker says to have been given. None of `queues` means any queue.

    Raises OtherQueue, NotGiven, TemporalUnavailable. Claims of batches that do not exist pass: nothing is left of them.
    """
    with _lock:
        found = {claim.key: grant for claim in claims if (grant := _known.get(claim.key)) is not None}
    by_batch = defaultdict[str, list[Claim]](list)
    for claim in claims:
        if claim.key not in found:
            by_batch[claim.batch_id].append(claim)
    gone = set[str]()
    for batch_id, of_batch in by_batch.items():
        batch = Batch.objects.filter(pk=batch_id).first()
        if batch is None:
            gone.add(batch_id)
        else:
            found |= _look_up(batch, of_batch, queues)
    for claim in claims:
        if claim.batch_id not in gone:
            _compare(claim, found[claim.key], queues)


def _compare(claim: Claim, grant: Grant, queues: Collection[str] | None) -> None:
    _require_queue(claim.batch_id, grant.queue, queues)
    is_of_child = claim.child in (None, grant.child)
    if not is_of_child or any(not grant.first <= index <= grant.last for index in claim.indices):
        raise NotGiven(f"Run {claim.run_id} of batch {claim.batch_id} has not been given these items.")


def _require_queue(batch_id: str, queue: str, queues: Collection[str] | None) -> None:
    if queues is not None and queue not in queues:
        raise OtherQueue(f"This token is not for the task queue of these items of batch {batch_id}.")


def _look_up(batch: Batch, claims: Sequence[Claim], queues: Collection[str] | None) -> dict[Key, Grant]:
    """Return the grants of claims, and keep them. Raises OtherQueue, NotGiven, TemporalUnavailable."""
    nodes, grants, queue_of = _children(batch, claims), dict[Key, Grant](), _queues_by_parent(batch)
    for claim in claims:
        if (node := nodes.get(claim.key)) is None:
            raise NotGiven(f"Batch {batch.pk} has no such chunk.")
        grant = Grant(node.position, queue_of(node), node.offset, node.last_item)
        _require_queue(batch.pk, grant.queue, queues)
        grants[claim.key] = grant
    known = set(
        Attempt.objects.filter(
            node__in={node.pk for node in nodes.values()}, run_id__in={claim.run_id for claim in claims}
        ).values_list("node_id", "run_id")
    )
    unknown = [claim for claim in claims if claim.undo or (nodes[claim.key].pk, claim.run_id) not in known]
    if unknown:
        _ask_temporal(batch, unknown, nodes)
    with _lock:
        _known.update(grants)
    return grants


def _children(batch: Batch, claims: Sequence[Claim]) -> dict[Key, Node]:
    """Return the children that claims are about."""
    columns = ("position", "offset", "length", "workflow_id", "parent")
    children = Node.objects.filter(batch=batch, kind=NodeKind.CHILD).only(*columns)
    positions = {claim.child for claim in claims if claim.child is not None}
    by_position = {node.position: node for node in children.filter(position__in=positions)}
    found = {claim.key: by_position[claim.child] for claim in claims if claim.child in by_position}
    for claim in claims:
        if claim.child is None:
            first = claim.indices[0]
            node = children.filter(offset__lte=first, offset__gt=first - F("length")).first()
            if node is not None:
                found[claim.key] = node
    return found


def _parents(batch: Batch) -> dict[int, Node]:
    return {node.pk: node for node in Node.objects.filter(batch=batch, kind__in=ABOVE_CHILDREN)}


def _above(node: Node, parents: Mapping[int, Node]) -> Iterator[Node]:
    parent = parents.get(node.parent_id or 0)
    while parent is not None:
        yield parent
        parent = parents.get(parent.parent_id or 0)


def _queues_by_parent(batch: Batch) -> Callable[[Node], str]:
    """Return a function that tells the task queue of a child: its stage's if it has one, else the batch's."""
    stages = {stage.name: stage.plan.task_queue for stage in stages_of(batch.definition_id)}
    own, parents = batch.plan.task_queue, _parents(batch) if stages else {}

    def queue_of(node: Node) -> str:
        labels = [above.label for above in _above(node, parents) if above.kind == NodeKind.STAGE]
        return stages[labels[0]] if labels else own

    return queue_of


def _ask_temporal(batch: Batch, claims: Sequence[Claim], nodes: Mapping[Key, Node]) -> None:
    """Raise NotGiven for the first run that Temporal does not know, TemporalUnavailable where it does not answer."""
    parents = _parents(batch)

    async def every() -> list[bool]:
        slots = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def one(claim: Claim) -> bool:
            async with slots:
                return await _is_run(claim, nodes[claim.key], parents)

        return await asyncio.gather(*(one(claim) for claim in claims))

    for claim, is_run in zip(claims, async_to_sync(every)(), strict=True):
        if not is_run:
            raise NotGiven(f"Temporal knows no run {claim.run_id} of this chunk of batch {claim.batch_id}.")


async def _is_run(claim: Claim, node: Node, parents: Mapping[int, Node]) -> bool:
    """Whether Temporal has started a run of a child, or of the parent that runs its chunk itself."""
    if not claim.run_id:
        return False
    name = f"{node.workflow_id}/rollback" if claim.undo else node.workflow_id
    candidates = [(name, claim.run_id)]
    if part := PART_OF_RUN.fullmatch(claim.run_id):
        candidates = [(above.workflow_id, part["parent"]) for above in _above(node, parents)]
    for workflow_id, run_id in candidates:
        if await gateway().has_run(workflow_id, run_id):
            return True
    return False


def may_read_upload(upload_id: str, queues: Collection[str]) -> bool:
    """Whether an upload is a parameter of a batch, or of an operation or a stage of one, that these queues process."""
    quoted = f'"{upload_id}"'
    operations = Operation.objects.annotate(text=Cast("parameters", TextField())).filter(text__contains=quoted)
    versions = DefinitionVersion.objects.filter(text__contains=upload_id)
    batches = Batch.objects.annotate(text=Cast("parameters", TextField())).filter(
        Q(text__contains=quoted) | Q(pk__in=operations.values("batch")) | Q(definition__in=versions)
    )
    return any(not queues_of(batch).isdisjoint(queues) for batch in batches.iterator())


def queues_of(batch: Batch) -> set[str]:
    """Return the task queues that process items or steps of a batch."""
    definition = definition_of(batch.definition_id) if batch.definition_id is not None else None
    services = definition.services if isinstance(definition, Services) else ()
    stages = stages_of(batch.definition_id)
    return {
        batch.plan.task_queue,
        *(stage.plan.task_queue for stage in stages),
        *(service.task_queue for service in services),
    }
