"""ChunkWorkflow: a child. One slice of the items, processed by one activity, or by one an item."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput, ChunkResult
    from orchestration.engine.chunk_execution import may_follow_loss, run_chunk


@workflow.defn
class ChunkWorkflow:
    """Process a chunk. Fails when an item of it failed after its attempts; completed items stay completed."""

    @workflow.run
    async def run(self, chunk: ChunkInput) -> ChunkResult:
        """Return the counts of the chunk's items."""
        return await run_chunk(chunk, follows_loss=may_follow_loss())
