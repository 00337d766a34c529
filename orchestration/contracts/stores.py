"""Protocols of the stores that activities read and write. Their methods are called from worker threads."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from orchestration.contracts.chunks import (
    BegunItems,
    ChildRange,
    ChunkInput,
    ChunkNote,
    ChunkWork,
    ItemResult,
    ResourcesInput,
)
from orchestration.contracts.fan_out import InputPage, PageRequest, SummariseInput
from orchestration.contracts.flows import FanOutRequest, Section, SectionRequest
from orchestration.contracts.item_workflows import SagaItem
from orchestration.contracts.step_results import StepResult


class ReportStore(Protocol):
    """Stores reports of runs."""

    def write_report(self, given: SummariseInput) -> None:
        """Write the report of a run. Idempotent. Raises LookupError when the batch does not exist."""
        ...


class StoreAway(Exception):
    """A store cannot be reached, or refuses for now. Any call may raise it, and is made again until it is back."""


class InputUnreadable(Exception):
    """The rest of an input cannot be read, and no retry will help; the message is the reason for a person."""


class CannotFanOut(Exception):
    """A fan-out cannot start, and no retry will help; the message is the reason for a person."""


class ResultRefused(Exception):
    """The result of a step cannot be stored, and no retry will help; the message is the reason for a person."""


class SectionStore(Protocol):
    """Adds items and children while a batch runs."""

    def read_page(self, wanted: PageRequest) -> InputPage:
        """Read the next page of the input into items and children. Idempotent for a page.

        Raises InputUnreadable, and LookupError when the batch does not exist.
        """
        ...

    def advance(self, wanted: SectionRequest) -> Section:
        """Create a pipeline's section; it is empty where no item has passed. Idempotent. Raises LookupError."""
        ...

    def begin_fan_out(self, wanted: FanOutRequest) -> Section:
        """Create a section of a flow; it may be empty. Idempotent. Raises LookupError, CannotFanOut."""
        ...


class ItemStore(Protocol):
    """Reads slices and uploads, and writes results.

    Implemented by the dashboard, and by RemoteStore for workers that reach the dashboard over HTTP alone.
    """

    def read_chunk(self, work: ChunkInput, run_id: str) -> ChunkWork:
        """Return what this run of the child has still to process.

        Raises LookupError when the batch or the slice does not exist.
        """
        ...

    def read_upload(self, upload_id: str) -> Iterator[bytes]:
        """Yield the content of an uploaded file. Raises LookupError when it is gone."""
        ...

    def ping(self) -> None:
        """Raise StoreAway where the store is away, soon if possible."""
        ...

    def write_note(self, note: ChunkNote) -> None:
        """Write the note of a running child; a closed child keeps its own."""
        ...

    def note_begun(self, begun: BegunItems) -> list[int]:
        """Note that items are begun: one that has no result when its worker is lost is counted. Idempotent.

        Returns for each how many notes of other passes in the same run it has.
        """
        ...

    def forget_begun(self, begun: BegunItems) -> None:
        """Take notes back, of items that were interrupted otherwise. Idempotent."""
        ...

    def write_results(self, results: Sequence[ItemResult]) -> None:
        """Record results of any number of batches and children, in one transaction for each batch.

        Idempotent; a completed item never changes its status.
        """
        ...


class StepStore(ItemStore, Protocol):
    """Also keeps results of steps."""

    def write_step_result(self, result: StepResult) -> None:
        """Keep the result of a step. Idempotent. Raises LookupError when the batch does not exist, ResultRefused."""
        ...

    def read_step_result(self, batch_id: str, result_id: str) -> bytes:
        """Return the content of a step's result, or of an item's data by its reference. Raises LookupError."""
        ...


class ChunkStore(StepStore, ReportStore, SectionStore, Protocol):
    """Everything that activities need of the dashboard, which implements it."""

    def read_resources(self, wanted: ResourcesInput) -> list[str]:
        """Return the resource that each item of a slice names. Raises LookupError when the batch does not exist."""
        ...

    def lacking_children(self, wanted: ChildRange) -> list[int]:
        """Return the children of a range of which an item has no result; or those of which one is still to be undone.

        Raises LookupError when the batch does not exist.
        """
        ...

    def read_saga_item(self, chunk: ChunkInput) -> SagaItem:
        """Return the only item of a chunk, and its saga. Raises LookupError."""
        ...
