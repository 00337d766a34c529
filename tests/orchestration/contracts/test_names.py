"""Names of workflows and of their messages: those that a client sends are those that the workflows define."""

from __future__ import annotations

from temporalio import workflow

from orchestration.contracts import names
from orchestration.worker import WORKFLOWS

DEFINITIONS = {each.name: each for each in (workflow._Definition.must_from_class(cls) for cls in WORKFLOWS)}


def named(suffix: str) -> set[str]:
    return {value for name, value in vars(names).items() if name.endswith(suffix)}


def test_every_workflow_type_has_one_name() -> None:
    assert set(DEFINITIONS) == named("_WORKFLOW")


def test_every_signal_update_and_query_is_handled_by_a_workflow() -> None:
    handled = list(DEFINITIONS.values())
    assert named("_SIGNAL") <= {name for each in handled for name in each.signals}
    assert named("_UPDATE") <= {name for each in handled for name in each.updates}
    assert named("_QUERY") <= {name for each in handled for name in each.queries}
