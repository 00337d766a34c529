"""Where in a tree a node is: on which page, below which parent, in which collapsed run."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from dashboard.models import Batch, Node, NodeStatus
from dashboard.queries.selection import ALL_CHILDREN, Selection
from dashboard.queries.tree import Tree, tree_of
from dashboard.queries.tree_order import (
    NOTHING_COLLAPSED,
    PAGE_SIZE,
    InParts,
    Place,
    collapsed_below,
    place_of,
    rows_below,
    selected_rows,
    sorted_rows,
)
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from orchestration.plan.plan import Plan
from tests.support.builders import child_of, make_batch, root_of, run_children, start_root

pytestmark = pytest.mark.django_db


def shown(tree: Tree) -> list[int]:
    """Return the ids of all rows that a tree shows, in order."""
    found = [tree.root.node.pk, *(row.node.pk for row in tree.path)]
    for row in tree.branch.rows:
        for each in (row, *(row.below.rows if row.below else ())):
            found.append(each.node.pk)
            found += [below.node.pk for run in each.runs if run.below for below in run.below.rows]
    return found


@pytest.fixture
def flat(operator: User) -> Batch:
    """A batch of 900 children without partitions, 300 of them failed, 300 completed."""
    batch = make_batch(operator, 900)
    start_root(batch)
    outcomes = [Status.FAILED, Status.COMPLETED]
    run_children(batch, {position: outcomes[position % 3] for position in range(900) if position % 3 < 2})
    return Batch.objects.get(pk=batch.pk)


@pytest.fixture
def parted(operator: User) -> Batch:
    """A batch of 1,200 children below partitions; in the last one 30 have failed and 150 have completed."""
    batch = make_batch(operator, 1_200)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(1000, 1030), Status.FAILED))
    run_children(batch, dict.fromkeys(range(1030, 1180), Status.COMPLETED))
    return batch


@pytest.mark.parametrize("selection", [ALL_CHILDREN, Selection(NodeStatus.FAILED), Selection(text="row-01")])
@pytest.mark.parametrize("kind", ["flat", "parted"])
def test_the_page_around_a_node_has_its_row(request: pytest.FixtureRequest, kind: str, selection: Selection) -> None:
    batch: Batch = request.getfixturevalue(kind)
    nodes = list(Node.objects.filter(batch=batch).order_by("kind", "position"))
    for node in [*nodes[::37], *nodes[-4:]]:
        assert node.pk in shown(tree_of(batch, Place(selection=selection), around=node)), (node.kind, node.position)


def test_failures_are_followed_by_one_row_for_all_that_have_completed(flat: Batch) -> None:
    first = tree_of(flat, Place())
    assert len(first.branch.rows) == PAGE_SIZE
    assert not any(row.runs for row in first.branch.rows)
    assert first.branch.total == 600
    third = tree_of(flat, Place(3)).branch
    (run,) = third.rows[-1].runs
    assert (run.status, run.number, run.below) == (NodeStatus.COMPLETED, 300, None)
    assert {row.node.status for row in third.rows} == {"failed"}
    assert {row.node.status for row in tree_of(flat, Place(4)).branch.rows} == {"pending"}


def test_a_run_is_expanded_in_pages_where_it_stands(flat: Batch) -> None:
    branch = tree_of(flat, Place(2, run=NodeStatus.COMPLETED)).branch
    assert branch.page.number == 3
    (run,) = branch.rows[-1].runs
    assert run.below is not None
    assert [row.node.position for row in run.below.rows] == list(range(301, 601, 3))
    assert (run.below.previous, run.below.next) == ("?run=completed", "?run=completed&page=3")
    last = child_of(flat, 898)
    assert last.pk in shown(tree_of(flat, Place(), around=last))


def test_rows_taken_status_by_status_are_in_the_order_of_all(flat: Batch) -> None:
    collapsed = collapsed_below(root_of(flat))
    for runs in (collapsed, NOTHING_COLLAPSED):
        taken, every = sorted_rows(root_of(flat), runs), list(runs.others(rows_below(root_of(flat))))
        assert isinstance(taken, InParts)
        assert list(taken) == every
        for first in (0, 250, 290, len(every) - 40):
            assert taken[first : first + 100] == every[first : first + 100]


def test_rows_of_a_status_are_not_sorted(flat: Batch) -> None:
    root = root_of(flat)
    taken = sorted_rows(root, collapsed_below(root))
    assert isinstance(taken, InParts)
    for rows in [*(part for part, _ in taken.parts), selected_rows(root, Selection(NodeStatus.PENDING))]:
        assert "TEMP B-TREE" not in rows.explain()


@pytest.mark.parametrize(("completed", "failed", "runs"), [(20, 0, 0), (10, 1, 0), (11, 1, 1)])
def test_what_has_completed_is_collapsed_only_if_it_is_long_and_something_has_failed(
    operator: User, completed: int, failed: int, runs: int
) -> None:
    batch = make_batch(operator, completed + failed, plan=Plan(chunk_size=1))
    start_root(batch)
    run_children(batch, dict.fromkeys(range(completed), Status.COMPLETED))
    run_children(batch, {completed + place: Status.FAILED for place in range(failed)})
    rows = tree_of(Batch.objects.get(pk=batch.pk), Place()).branch.rows
    assert sum(len(row.runs) for row in rows) == runs
    assert len(rows) == (failed if runs else completed + failed)
    assert root_of(batch).pk not in {row.node.pk for row in rows}


def test_a_parent_with_failures_below_comes_before_one_that_runs(operator: User) -> None:
    root = root_of(make_batch(operator, 1))
    Node.objects.filter(parent=root).delete()
    below: list[dict[str, Any]] = [
        {"status": "running"},
        {"status": "completed", "children_failed": 1},
        {"status": "completed"},
    ]
    for position, fields in enumerate(below):
        given = {"workflow_id": f"w{position}", "position": position, "offset": 0, "length": 0, **fields}
        Node.objects.create(batch=root.batch, parent=root, kind=NodeKind.PARENT, **given)
    assert [node.position for node in rows_below(root)] == [1, 0, 2]
    for place, node in enumerate(rows_below(root)):
        assert place_of(root, node, ALL_CHILDREN).page == place // PAGE_SIZE + 1
