"""What every process loads before it does any work: processors, and the keys of payloads."""

from __future__ import annotations

from orchestration.processors import catalogue
from orchestration.processors.result_size import max_result_bytes
from orchestration.telemetry.process_endpoint import check_addresses
from orchestration.temporal.data_converter import data_converter


class CannotStart(Exception):
    """The configuration does not let a process start; the message says why."""


def prepare() -> None:
    """Load the processors and the payload keys. Raises CannotStart."""
    try:
        catalogue.load()
        data_converter()
        max_result_bytes()
        check_addresses()
    except (catalogue.CannotLoad, ValueError) as error:
        raise CannotStart(str(error)) from error
