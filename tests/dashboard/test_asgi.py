"""The web process's threads share memory arenas: what one of them has freed serves the others."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.asgi import MEMORY_ARENAS

COUNT_ARENAS = """
import ctypes, sys, threading
from dashboard.asgi import share_memory_arenas
share_memory_arenas()
all_have_some = threading.Barrier(8)
def allocate():
    memory = [bytearray(100_000) for _ in range(10)]
    all_have_some.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has arenas that can be counted")
def test_eight_threads_allocate_from_two_arenas(tmp_path: Path) -> None:
    path = tmp_path / "arenas.xml"
    env = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    subprocess.run([sys.executable, "-c", COUNT_ARENAS, str(path)], env=env, check=True)
    assert path.read_text().count("<heap nr=") <= MEMORY_ARENAS
