"""Bodies of requests are written within CANOPY_HOME as they arrive, and nowhere else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from dashboard.server.limits.refusals import BodyTooLarge
from dashboard.server.request_bodies import Handler

PART = b"x" * 1024 * 1024


@pytest.fixture(autouse=True)
def no_folder_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the system's folder for temporary files away."""
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")


class Arriving:
    """A body that arrives in parts; instead of the last one something is raised, or the client leaves."""

    def __init__(self, parts: int, end: Any = None) -> None:
        self._left, self._end = parts, end

    async def __call__(self) -> dict[str, Any]:
        self._left -= 1
        if self._left == 0 and isinstance(self._end, Exception):
            raise self._end
        if self._left == 0 and self._end is not None:
            return {"type": self._end}
        return {"type": "http.request", "body": PART, "more_body": self._left > 0}


def open_spools() -> list[str]:
    """Return what is open in the folder of arriving bodies."""
    links = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return [link for link in links if link.startswith(str(settings.FILE_UPLOAD_TEMP_DIR))]


async def test_a_large_body_waits_within_the_home() -> None:
    with await Handler().read_body(Arriving(5)) as body:
        assert len(open_spools()) == 1
        assert body.read() == PART * 5
    assert open_spools() == []


@pytest.mark.parametrize(("end", "raised"), [(BodyTooLarge(1), BodyTooLarge), ("http.disconnect", RequestAborted)])
async def test_nothing_is_left_of_a_body_that_is_too_large_or_breaks_off(end: Any, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        await Handler().read_body(Arriving(5, end))
    assert open_spools() == []


@pytest.mark.django_db
def test_a_form_with_a_large_file_and_more_is_read_within_the_home(logged_in: Client, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = len(PART)
    file = SimpleUploadedFile("words.txt", PART * 4)
    answer = logged_in.post("/launch/simulate/preview/", {"format": "lines", "file": file})
    assert answer.status_code == 200
