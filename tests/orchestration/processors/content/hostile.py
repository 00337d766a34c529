"""What content may make a parser do."""

from __future__ import annotations

import os
import signal
from typing import Any


def read(content: bytes, **arguments: Any) -> dict[str, Any]:
    """Return what was given, the process, and what it knows of the environment."""
    print("a parser that prints")
    return {
        "content": content[:10].decode(),
        "size": len(content),
        "arguments": arguments,
        "pid": os.getpid(),
        "environment": dict(os.environ),
    }


def spin(content: bytes) -> None:
    """Never return, and never let another thread run."""
    sum(iter(int, 1))


def swell(content: bytes) -> int:
    """Take a gigabyte."""
    return len(bytearray(1024**3))


def crash(content: bytes) -> None:
    """End the process, as a fault in a library does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(content: bytes) -> None:
    """End the process in passing."""
    os._exit(3)


def fail(content: bytes) -> None:
    """Raise."""
    raise ValueError("no such tag")


def chatter(content: bytes) -> str:
    """Return more than anybody wants."""
    return "x" * 2_000_000
