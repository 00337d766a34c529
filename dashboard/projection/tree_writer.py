"""Inserts the nodes and items of a layout for rows of the input. Call it within a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from dashboard.database.bulk import insert_columns
from dashboard.database.sanitising import json_text
from dashboard.inputs.rows import KEY_LIMIT, InputRow
from dashboard.models import Batch, Item, Node
from orchestration.contracts.events import NodeKind
from orchestration.contracts.flows import Section
from orchestration.contracts.workflow_ids import child_id, partition_id, resource_id, stage_id
from orchestration.definitions.models import Stage
from orchestration.plan.layout import Layout
from orchestration.plan.plan import Plan

ROWS_PER_INSERT = 2_000
ITEM_COLUMNS = ("batch_id", "index", "child", "key", "data")
"""Columns of a new item that have no default."""


class ResourceNamedTwice(ValueError):
    """Two items of one batch name the same resource."""


def resource_of(key: str, data: Mapping[str, Any], field: str) -> str:
    """Return the resource that an item names in a field, or its key."""
    return str(data.get(field) or key)


def write_below(
    batch: Batch,
    parent: Node,
    layout: Layout,
    rows: Iterator[InputRow],
    *,
    plan: Plan | None = None,
    section: int | None = None,
) -> None:
    """Write partitions, children and items below a root, or below the stage of a section, which has its own plan.

    Raises ValueError when there are fewer rows than the layout has items.
    """
    parents = write_partitions(batch, parent, layout, range(layout.partitions), section=section) or [parent]
    tree = _Tree(batch, plan or batch.plan, layout, parents, section)
    if (found := tree.write(layout.child_range, rows)) != layout.items:
        raise ValueError(f"The input ended after {found} of {layout.items} rows.")


def write_page(batch: Batch, partition: Node, layout: Layout, children: Iterable[int], rows: Iterator[InputRow]) -> int:
    """Write children of a partition until the rows end, and return the number of rows."""
    return _Tree(batch, batch.plan, layout, {partition.position: partition}, None).write(children, rows)


def write_partitions(
    batch: Batch, parent: Node, layout: Layout, positions: Iterable[int], *, section: int | None = None
) -> list[Node]:
    """Write partitions below a root or a stage, with tallies that already count the children to be written."""
    partitions = []
    for position in positions:
        children = layout.partition_range(position)
        offset = layout.chunk(children.start).offset
        last = layout.chunk(children.stop - 1)
        length = last.offset + last.length - offset
        partitions.append(
            Node(
                batch=batch,
                parent=parent,
                kind=NodeKind.PARTITION,
                position=position,
                workflow_id=partition_id(batch.pk, position, section),
                offset=offset,
                length=length,
                children_pending=len(children),
                items_pending=length,
            )
        )
    return Node.objects.bulk_create(partitions)


class _Tree:
    """Writes children and their items, ROWS_PER_INSERT at a time."""

    def __init__(
        self,
        batch: Batch,
        plan: Plan,
        layout: Layout,
        parents: Sequence[Node] | Mapping[int, Node],
        section: int | None,
    ) -> None:
        self._batch, self._plan, self._layout, self._parents, self._section = batch, plan, layout, parents, section
        self._nodes, self._items = list[Node](), list[tuple[Any, ...]]()
        self._ids = set[str]()

    def write(self, children: Iterable[int], rows: Iterator[InputRow]) -> int:
        """Write children until there are no more of them, or no more rows; return the number of rows."""
        written = 0
        for child in children:
            taken = list(islice(rows, self._layout.chunk_size))
            if not taken:
                break
            written += len(taken)
            self._take(child, taken)
            if len(self._items) >= ROWS_PER_INSERT or len(self._nodes) >= ROWS_PER_INSERT:
                self._flush()
            if len(taken) < self._layout.chunk_size:
                break
        self._flush()
        return written

    def _take(self, child: int, taken: Sequence[InputRow]) -> None:
        offset, partition = self._layout.chunk(child).offset, self._layout.partition_of(child)
        self._nodes.append(
            Node(
                batch=self._batch,
                parent=self._parents[partition or 0],
                kind=NodeKind.CHILD,
                position=child,
                workflow_id=self._workflow_id(child, partition, taken[0]),
                is_workflow=self._plan.has_child_workflows,
                offset=offset,
                length=len(taken),
                key_first=taken[0].key[:KEY_LIMIT],
                key_last=taken[-1].key[:KEY_LIMIT],
            )
        )
        for index, row in enumerate(taken, start=offset):
            self._items.append((self._batch.pk, index, child, row.key[:KEY_LIMIT], json_text(row.data)))

    def _workflow_id(self, child: int, partition: int | None, first: InputRow) -> str:
        """Return a child's workflow id: by its position, or by the resource that its one item names."""
        if not self._plan.resource_field:
            return child_id(self._batch.pk, child, partition, self._section)
        name = resource_id(resource_of(first.key, first.data, self._plan.resource_field))
        if name in self._ids:
            raise ResourceNamedTwice(f"Two items name the same resource; the second is {first.key!r}.")
        self._ids.add(name)
        return name

    def _flush(self) -> None:
        Node.objects.bulk_create(self._nodes)
        insert_columns(Item, ITEM_COLUMNS, self._items)
        self._nodes.clear()
        self._items.clear()


def write_section(batch: Batch, root: Node, section: Section, stage: Stage, items: int, *, revision: int = 1) -> Node:
    """Write the node of a section, with tallies that already count the children to be written."""
    return Node.objects.create(
        batch=batch,
        parent=root,
        kind=NodeKind.STAGE,
        position=section.number,
        workflow_id=stage_id(batch.pk, section.number),
        label=stage.name,
        offset=section.first_item,
        length=items,
        children_pending=Layout.of(stage.plan, items).children,
        items_pending=items,
        revision=revision,
    )
