"""A chunk store in memory, for an engine without a database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from orchestration.contracts.chunks import (
    BegunItems,
    ChildRange,
    ChunkInput,
    ChunkNote,
    ChunkWork,
    ItemResult,
    ItemWork,
    ResourcesInput,
)
from orchestration.contracts.fan_out import InputPage, PageRequest, SummariseInput
from orchestration.contracts.flows import FanOutRequest, Section, SectionRequest
from orchestration.contracts.item_workflows import SagaItem
from orchestration.contracts.step_results import StepResult, content_of, referred_item
from orchestration.contracts.stores import InputUnreadable
from orchestration.plan.plan import Plan
from tests.support.probe import Probe


class MemoryStore:
    """A ChunkStore without a database."""

    def __init__(self) -> None:
        self.batches: dict[str, tuple[Plan, str]] = {}
        self.results: dict[tuple[str, int], ItemResult] = {}
        self.reports: list[SummariseInput] = []
        self.undone: dict[tuple[str, int], ItemResult] = {}
        self.notes: list[ChunkNote] = []
        self.begun: set[tuple[str, str, str, int]] = set()
        self.inputs: dict[str, int] = {}
        self.pages: dict[str, int] = defaultdict(int)
        self.sections: dict[str, list[Section]] = defaultdict(list)
        self.step_results: dict[tuple[str, str], StepResult] = {}

    def ping(self) -> None:
        """Do nothing: memory is never away."""

    def read_page(self, wanted: PageRequest) -> InputPage:
        """Return the size of a page of a batch that reads its input while it runs."""
        plan, name = self.batches[wanted.batch_id]
        if wanted.page == Probe.all[name].torn_page:
            raise InputUnreadable(f"Page {wanted.page} is torn.")
        self.pages[wanted.batch_id] = max(self.pages[wanted.batch_id], wanted.page + 1)
        full = plan.page_children * plan.chunk_size
        left = self.inputs[wanted.batch_id] - wanted.page * full
        return InputPage(max(0, min(full, left)), is_last=left < full)

    def advance(self, wanted: SectionRequest) -> Section:
        """Return a section of as many items as have passed the stage before since the last one."""
        made = self.sections[wanted.batch_id]
        if wanted.number < len(made):
            return made[wanted.number]
        last = made[-1]
        before = [each for each in made if each.stage == wanted.stage - 1]
        indices = [index for each in before for index in range(each.first_item, each.first_item + each.items)]
        results = [self.results.get((wanted.batch_id, index)) for index in indices]
        passed = sum(result is not None and result.failure is None for result in results)
        passed -= sum(each.items for each in made if each.stage == wanted.stage)
        first = (last.first_child + last.items, last.first_item + last.items)
        section = Section(wanted.number, wanted.stage, *first, passed)
        if passed:
            made.append(section)
        return section

    def begin_fan_out(self, wanted: FanOutRequest) -> Section:
        """Return a section over some items, or over those of the batch."""
        made = self.sections[wanted.batch_id]
        known = [each for each in made if each.number == wanted.number]
        if known:
            return known[0]
        number = self.inputs[wanted.batch_id] if wanted.items is None else len(wanted.items)
        first = sum(each.items for each in made)
        section = Section(wanted.number, wanted.stage, first, first, number)
        if number:
            made.append(section)
        return section

    def read_chunk(self, work: ChunkInput, run_id: str) -> ChunkWork:
        """Return the items of a chunk that have not completed."""
        plan, name = self.batches[work.batch_id]
        if work.undo:
            return ChunkWork("probe", {"probe": name}, plan, self._to_undo(work))
        items, completed = [], 0
        for index in range(work.offset, work.offset + work.length):
            result = self.results.get((work.batch_id, index))
            if result is not None and result.failure is None:
                completed += 1
            else:
                ends = sum(each[:2] == (work.batch_id, run_id) and each[3] == index for each in self.begun)
                items.append(ItemWork(index, str(index), {}, result.attempts if result else 0, ends=ends))
        delegate = Probe.all[name].delegate
        if delegate is not None:
            return ChunkWork("workflow", delegate, plan, items, completed=completed)
        return ChunkWork("probe", {"probe": name}, plan, items, completed=completed)

    def _to_undo(self, work: ChunkInput) -> list[ItemWork]:
        found = [
            (index, self.results.get((work.batch_id, index))) for index in range(work.offset, work.offset + work.length)
        ]
        return [ItemWork(index, str(index), {}) for index, result in found if result and result.failure is None]

    def read_saga_item(self, chunk: ChunkInput) -> SagaItem:
        """Return an item with its number, and what its probe says."""
        saga = Probe.all[self.batches[chunk.batch_id][1]].saga
        assert saga is not None
        before = self.results.get((chunk.batch_id, chunk.offset))
        data = self._saga_data(self.batches[chunk.batch_id][1], chunk.offset)
        return SagaItem(saga, data, before.attempts if before else 0)

    @staticmethod
    def _saga_data(probe: str, index: int) -> dict[str, Any]:
        return {"number": index} | Probe.all[probe].saga_data

    def write_step_result(self, result: StepResult) -> None:
        """Keep the result of a step."""
        self.step_results[result.batch_id, result.id] = result

    def read_step_result(self, batch_id: str, result_id: str) -> bytes:
        """Return what is kept. Raises LookupError."""
        if (index := referred_item(result_id)) is not None:
            return content_of(self._saga_data(self.batches[batch_id][1], index))
        return self.step_results[batch_id, result_id].content

    def read_upload(self, upload_id: str) -> Iterator[bytes]:
        """Raise LookupError: no item of these tests has a file."""
        raise LookupError(upload_id)

    def write_note(self, note: ChunkNote) -> None:
        """Keep a note."""
        self.notes.append(note)

    def note_begun(self, begun: BegunItems) -> list[int]:
        """Keep that items are begun, and return how often each was in other passes."""
        of_run = [each for each in self.begun if each[:2] == (begun.batch_id, begun.run_id) and each[2] != begun.token]
        ends = [sum(each[3] == index for each in of_run) for index in begun.indices]
        self.begun |= {(begun.batch_id, begun.run_id, begun.token, index) for index in begun.indices}
        return ends

    def forget_begun(self, begun: BegunItems) -> None:
        """Forget it."""
        self.begun -= {(begun.batch_id, begun.run_id, begun.token, index) for index in begun.indices}

    def write_report(self, given: SummariseInput) -> None:
        """Keep a report."""
        self.reports.append(given)

    def read_resources(self, wanted: ResourcesInput) -> list[str]:
        """Return made-up resources: the same ones in every batch, one for each item or three for all."""
        if wanted.field.startswith("three"):
            return [f"{wanted.field}-{index % 3}" for index in range(wanted.offset, wanted.offset + wanted.length)]
        return [f"{wanted.field}-{index}" for index in range(wanted.offset, wanted.offset + wanted.length)]

    def lacking_children(self, wanted: ChildRange) -> list[int]:
        """Return the children of a range without a result, or not undone: with one item each."""
        kept = self.results.keys() - self.undone.keys() if wanted.undo else self.results.keys()
        children = range(wanted.first, wanted.stop)
        return [child for child in children if ((wanted.batch_id, child) in kept) is wanted.undo]

    def write_results(self, results: Sequence[ItemResult]) -> None:
        """Keep results."""
        for result in results:
            if result.undone:
                self.undone[result.batch_id, result.index] = result
                continue
            self.results[result.batch_id, result.index] = result
