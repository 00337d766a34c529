"""The process that reads content: `python -m orchestration.processors.content.child PARENT`, over its standard streams.

A request is two lengths, a JSON object that names a function of this room with its arguments, and the content; the
answer is a length, 0, and a JSON object. Each request may take CPU_SECONDS, and the process MEMORY.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

MEMORY = 512 * 1024 * 1024
"""Bytes that a process may map, its own code and libraries included."""

LARGEST_ANSWER = 1024 * 1024
"""Bytes of an answer."""

WORN = MEMORY // 2
"""Bytes of resident memory from which a process makes room for a fresh one."""

ERROR_LENGTH = 500
PREFIX = struct.Struct(">QQ")
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answer requests until the input ends."""
    _end_with(int(sys.argv[1]))
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a parser prints is no answer
    with suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (prefix := requests.read(PREFIX.size)) and len(prefix) == PREFIX.size:
        answer = _answer(requests, prefix)
        _write(answers, answer)
        if answer["is_last"]:
            return


def _end_with(parent: int) -> None:
    """Have the kernel end this process when the one that started it is gone (Linux; elsewhere the input ends)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _answer(requests: BinaryIO, prefix: bytes) -> dict[str, Any]:
    """Call the function that a request names."""
    try:
        head, content = (_read(requests, size) for size in PREFIX.unpack(prefix))
        request = json.loads(head)
        module, _, name = request["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        _limit_cpu(request["cpu_seconds"])
        result = function(content, **request["arguments"])
    except MemoryError:
        return {"is_too_large": True, "is_last": True}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:ERROR_LENGTH], "is_last": _is_worn()}
    return {"result": result, "is_last": _is_worn()}


def _read(requests: BinaryIO, size: int) -> bytes:
    found = requests.read(size)
    if len(found) < size:
        sys.exit(0)
    return found


def _limit_cpu(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _is_worn() -> bool:
    return _most_memory() > WORN


def _most_memory() -> int:
    """Return the most bytes of memory that this program has had.

    In Linux getrusage would also count what the process had before it began the program: its worker's memory.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _write(answers: BinaryIO, answer: dict[str, Any]) -> None:
    try:
        text = json.dumps(answer).encode()
    except MemoryError:
        text = json.dumps({"is_too_large": True, "is_last": True}).encode()
    if len(text) > LARGEST_ANSWER:
        text = json.dumps({"error": "The result is larger than 1 MB.", "is_last": answer["is_last"]}).encode()
    answers.write(PREFIX.pack(len(text), 0) + text)
    answers.flush()


if __name__ == "__main__":
    main()
