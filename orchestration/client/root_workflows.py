"""Roots: which workflow the root of a batch is, and how it is started again."""

from __future__ import annotations

from dataclasses import replace

from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.flows import FlowInput
from orchestration.contracts.root_input import RootInput
from orchestration.workflows.fan_out import FanOutWorkflow
from orchestration.workflows.pipeline import PipelineWorkflow
from orchestration.workflows.saga import SagaWorkflow
from orchestration.workflows.services import ServicesWorkflow
from orchestration.workflows.steps import StepsWorkflow

FLOWS = {
    "pipeline": PipelineWorkflow,
    "saga": SagaWorkflow,
    "services": ServicesWorkflow,
    "steps": StepsWorkflow,
}
"""The parents with a flow of their own, by the kind of their definition."""


def root_workflow(root: RootInput) -> str:
    """Return the type of workflow that a batch's root is."""
    found = FanOutWorkflow if isinstance(root, FanOutInput) else FLOWS[root.definition["kind"]]
    return found.__name__


def for_retry(root: RootInput) -> RootInput:
    """Return how a closed root is started to retry: it waits for what it is told to."""
    if isinstance(root, FlowInput):
        return replace(root, is_retry=True)
    return replace(root, first=0, stop=0, children=[], cursor=None)
