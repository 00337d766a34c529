"""Uploads as a worker fetches them: each once, and one that takes long holds up no other."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestration.processors.uploads import Upload, remove_fetched, set_upload_source


@pytest.fixture
def fetched() -> Iterator[Counter[str]]:
    """How often each upload has been fetched."""
    yield Counter()
    set_upload_source(None)
    remove_fetched()


def test_an_upload_that_takes_long_to_fetch_holds_up_no_other(fetched: Counter[str]) -> None:
    other_is_there = threading.Event()

    def fetch(upload: str) -> Iterator[bytes]:
        fetched[upload] += 1
        assert upload != "slow" or other_is_there.wait(60)
        yield upload.encode()

    set_upload_source(fetch)
    with ThreadPoolExecutor() as threads:
        slow = [threads.submit(lambda: Upload("slow").read_text()) for _ in range(3)]
        assert Upload("quick").read_text() == "quick"
        other_is_there.set()
        assert [each.result() for each in slow] == ["slow"] * 3
    assert fetched == {"slow": 1, "quick": 1}
