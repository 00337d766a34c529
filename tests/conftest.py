"""Fixtures of all tests: one Temporal server, one stack and one Chromium a session."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from temporalio.client import Client

from orchestration.temporal.connection import Connection, connect_with_retries
from tests.support.stack import Stack, TemporalServer, free_port

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.support.browser import Console, NewPage

SLOWEST_FIRST = ("faults", "browser", "dashboard")
"""Folders of tests. Files are shared out in this order: one of a few long tests that came last would be waited for."""

# Machines are shared and slow: how long an example takes, or is generated for, says nothing about the code.
settings.register_profile("shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest folders first, and their slow files; within a file nothing changes."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (_rank(item.path.parts), item.path not in slow))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have few of several processes start a stack."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.support.sharing import StacksTogether

    return StacksTogether(config, log)


def pytest_collection_finish() -> None:
    """Have Python's collector pass over what is loaded by now: all modules, and all tests."""
    gc.freeze()


def _rank(parts: Sequence[str]) -> int:
    return next((rank for rank, folder in enumerate(SLOWEST_FIRST) if folder in parts), len(SLOWEST_FIRST))


@pytest.fixture(scope="session")
def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A real Temporal server."""
    server = TemporalServer(Path(tmp_path_factory.mktemp("temporal")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
async def temporal_client(temporal_server: TemporalServer) -> Client:
    """A client of the server."""
    return await connect_with_retries(Connection(temporal_server.address))


@pytest.fixture(scope="session")
def stack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """The stacks' Temporal server: another one, because a worker polls the same queues on it."""
    server = TemporalServer(Path(tmp_path_factory.mktemp("stack-temporal")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shop_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the SHOP that the stack may write to is: a test that uses it makes it."""
    return Path(tmp_path_factory.mktemp("shop")) / "shop.sqlite3"


@pytest.fixture(scope="session")
def stack(stack_server: TemporalServer, shop_database: Path) -> Iterator[Stack]:
    """The whole product, running. Tests that kill a part of it take `fragile_stack`."""
    shop = {"CANOPY_CONNECTION_SHOP": f"sqlite:///{shop_database}", "CANOPY_CONNECTION_SHOP_WRITABLE": "1"}
    made = Stack(stack_server, shop | {"CANOPY_WORKER_HTTP": f"127.0.0.1:{free_port()}"})
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def fragile_stack(stack: Stack) -> Iterator[Stack]:
    """The stack, for a test that kills a part of it: it is whole again afterwards."""
    yield stack
    if not stack.temporal.process.is_running:
        stack.temporal.start()
    for part in (stack.worker, stack.web):
        if not part.is_running:
            part.start()
    stack.wait_healthy()


@pytest.fixture
def small_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put more than 6 children into partitions of 4, so that a tree is small enough for a test."""
    monkeypatch.setattr("orchestration.plan.layout.MAX_FLAT_CHILDREN", 6)
    monkeypatch.setattr("orchestration.plan.layout.PARTITION_SIZE", 4)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests."""
    from tests.support.browser import running_chromium  # Playwright is imported by tests that use it, not by all

    async with running_chromium() as browser:
        yield browser


@pytest.fixture
def console() -> Console:
    """The complaints of this test's pages."""
    from tests.support.browser import Console

    return Console()


@pytest.fixture
async def new_page(browser: Browser, console: Console) -> AsyncIterator[NewPage]:
    """A function that opens a logged-in page: new_page(stack, "/batches/"), see Pages.open."""
    from tests.support.browser import Pages

    pages = Pages(browser, console)
    yield pages.open
    await pages.close()
