"""The web process: its threads share memory arenas, and no database connection is kept for who reads slowly."""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection

from dashboard.asgi import MEMORY_ARENAS, router
from tests.support.websockets import session_cookie

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


@pytest.mark.django_db(transaction=True)
async def test_no_database_connection_is_kept_while_a_client_reads(operator: User) -> None:
    """A page, which is rendered as a whole, keeps none any more than a download in parts does."""
    cookie, is_open = await sync_to_async(session_cookie)(operator), list[bool]()
    received = [{"type": "http.request", "body": b"", "more_body": False}]

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            is_open.append(await sync_to_async(lambda: connection.connection is not None)())

    async def receive() -> dict[str, Any]:
        return received.pop() if received else await asyncio.Future()

    headers = [(b"host", b"localhost"), (b"cookie", cookie.encode())]
    scope = {"type": "http", "method": "GET", "path": "/batches/", "query_string": b"", "headers": headers}
    await router(scope | {"http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1)}, receive, send)
    assert is_open
    assert not any(is_open)
