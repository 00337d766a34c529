"""What starts a batch's root workflow."""

from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.flows import FlowInput

RootInput = FanOutInput | FlowInput
