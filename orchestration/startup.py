"""What every process loads and checks before it does any work: processors, keys of payloads, ways to others."""

from __future__ import annotations

import sys

from orchestration.network.authorities import tls_context
from orchestration.processors import catalogue
from orchestration.processors.result_size import max_result_bytes
from orchestration.telemetry.process_endpoint import check_addresses
from orchestration.temporal.data_converter import data_converter
from orchestration.temporal.profile import connection_of_environment


class CannotStart(Exception):
    """The configuration does not let a process start; the message says why."""


def prepare_or_exit() -> None:
    """Prepare, or end the process with 2 and a line that says what is wrong: a traceback helps nobody there."""
    try:
        prepare()
    except CannotStart as error:
        sys.stderr.write(f"canopy: {error}\n")
        sys.exit(2)


def prepare() -> None:
    """Load the processors and the payload keys, and check how Temporal and others are reached. Raises CannotStart."""
    try:
        catalogue.load()
        data_converter()
        connection_of_environment()
        tls_context()
        max_result_bytes()
        check_addresses()
    except (catalogue.CannotLoad, ValueError) as error:
        raise CannotStart(str(error)) from error
