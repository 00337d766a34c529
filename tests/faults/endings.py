"""Processors that note each call of an item: some end, stop or freeze their process, others work until let go."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from pathlib import Path

from orchestration.processors.registry import processor

FOLDER = "CANOPY_ENDINGS_FOLDER"
"""Environment: the folder with the calls, and with a file `go` once items are let go."""


@processor(default_plan={"item_attempts": 1})
async def end_or_work(item: str) -> str:
    """End the process for what begins with "ends", hold its interpreter lock for what begins with "freezes", once."""
    folder = Path(os.environ[FOLDER])
    with (folder / "calls").open("a") as calls:
        calls.write(f"{item}\n")
    if item.startswith("ends"):
        os._exit(1)
    if item.startswith("freezes") and (folder / "calls").read_text().split().count(item) == 1:
        _hold_interpreter_lock()
    if item == "stops-by-kill":
        os.kill(os.getpid(), signal.SIGTERM)
    if item == "stops-by-raise":
        signal.raise_signal(signal.SIGTERM)
    if item.startswith("slow"):
        await asyncio.sleep(1)
    while item.startswith("waits") and not (folder / "go").exists():
        await asyncio.sleep(0.1)
    return item


def _hold_interpreter_lock() -> None:
    """Wait for ever in C code as if it computed there: no signal ends that, and it takes no CPU time."""
    library, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)  # PyDLL: with the interpreter lock
    for _ in range(2):
        library.pthread_mutex_lock(mutex)
