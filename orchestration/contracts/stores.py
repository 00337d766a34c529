"""Protocols of the stores that activities read and write."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from orchestration.contracts.chunks import ChunkInput, ChunkNote, ChunkWork, ItemResult, ResourcesInput
from orchestration.contracts.fan_out import InputPage, PageRequest, SummariseInput
from orchestration.contracts.flows import FanOutRequest, Section, SectionRequest
from orchestration.contracts.item_workflows import SagaItem


class ReportStore(Protocol):
    """Where reports go. Called from worker threads; implemented by the dashboard."""

    def write_report(self, given: SummariseInput) -> None:
        """Write the report of a run, once: the same run again changes nothing. Raises LookupError without a batch."""
        ...


class InputUnreadable(Exception):
    """An input that cannot be read on, whoever tries: why, for a person."""


class CannotFanOut(Exception):
    """A fan-out that cannot begin, whoever tries: why, for a person."""


class SectionStore(Protocol):
    """Where items and children are added while a batch runs. Called from worker threads."""

    def read_page(self, wanted: PageRequest) -> InputPage:
        """Make a page's items and children of what comes next in the input, once: the same page again is as it is.

        Raises LookupError when the batch does not exist, InputUnreadable.
        """
        ...

    def advance(self, wanted: SectionRequest) -> Section:
        """Make a section of a pipeline, once; one without items where none is let through. Raises LookupError."""
        ...

    def begin_fan_out(self, wanted: FanOutRequest) -> Section:
        """Make a section of a flow, once; one without items where there are none. Raises LookupError, CannotFanOut."""
        ...


class ItemStore(Protocol):
    """What the work on items needs of where they lie. Called from worker threads.

    Implemented by the dashboard, and by RemoteStore for workers that have only its address.
    """

    def read_chunk(self, work: ChunkInput, run_id: str) -> ChunkWork:
        """Return what this run of the child has still to do.

        Raises LookupError when the batch or the slice does not exist.
        """
        ...

    def read_upload(self, upload_id: str) -> Iterator[bytes]:
        """Yield the content of a file that is a parameter. Raises LookupError when it is gone."""
        ...

    def write_note(self, note: ChunkNote) -> None:
        """Show what a running child is doing; of one that has closed nothing is changed."""
        ...

    def write_results(self, results: Sequence[ItemResult]) -> None:
        """Record results, of any number of batches and children, in one transaction a batch.

        Writing the same result again changes nothing; a completed item never becomes anything else.
        """
        ...


class ChunkStore(ItemStore, ReportStore, SectionStore, Protocol):
    """Where items lie. Called from worker threads; implemented by the dashboard."""

    def read_resources(self, wanted: ResourcesInput) -> list[str]:
        """Return what each item of a slice names as its resource. Raises LookupError when the batch does not exist."""
        ...

    def read_saga_item(self, chunk: ChunkInput) -> SagaItem:
        """Return the one item of a chunk, and the saga that it goes through. Raises LookupError."""
        ...
