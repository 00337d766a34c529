"""Which workflow type the root of a batch has, and with which input it is started again."""

from __future__ import annotations

from dataclasses import replace

from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.flows import FlowInput
from orchestration.contracts.names import (
    FAN_OUT_WORKFLOW,
    PIPELINE_WORKFLOW,
    SAGA_WORKFLOW,
    SERVICES_WORKFLOW,
    STEPS_WORKFLOW,
)
from orchestration.contracts.root_input import RootInput

FLOW_WORKFLOWS = {
    "pipeline": PIPELINE_WORKFLOW,
    "saga": SAGA_WORKFLOW,
    "services": SERVICES_WORKFLOW,
    "steps": STEPS_WORKFLOW,
}
"""Types of the parents that run a flow, by the kind of its definition."""


def root_workflow(root: RootInput) -> str:
    """Return the workflow type of a batch's root."""
    return FAN_OUT_WORKFLOW if isinstance(root, FanOutInput) else FLOW_WORKFLOWS[root.definition["kind"]]


def for_retry(root: RootInput) -> RootInput:
    """Return the input that starts a closed root again: it waits for a `retry` update."""
    if isinstance(root, FlowInput):
        return replace(root, is_retry=True)
    return replace(root, first=0, stop=0, children=[], cursor=None)
