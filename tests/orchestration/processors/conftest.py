"""What tests of processors share: an HTTP server on loopback, and installations that allow it or not."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.processors import registry
from orchestration.processors.builtin import command
from orchestration.processors.catalogue import load
from orchestration.processors.http import client as http_client
from tests.support.echo_server import echo_server
from tests.support.programs import Program


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A real HTTP server; returns its address."""
    with echo_server() as address:
        yield address


@pytest.fixture
async def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that allows loopback addresses."""
    monkeypatch.setenv("CANOPY_HTTP_ALLOW", "127.0.0.0/8")
    await http_client._close()


@pytest.fixture
async def public_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that allows public addresses only."""
    monkeypatch.setenv("CANOPY_HTTP_ALLOW", "")
    await http_client._close()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """A function that writes the allowed program from a shell script."""
    load()
    path = tmp_path / "program"
    monkeypatch.setattr(registry, "_processors", dict(registry._processors))

    def make(script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    make("true")
    monkeypatch.setenv("CANOPY_COMMANDS", f"mine={path}, other=/bin/false")
    importlib.reload(command)
    yield make
    monkeypatch.delenv("CANOPY_COMMANDS")
    importlib.reload(command)
