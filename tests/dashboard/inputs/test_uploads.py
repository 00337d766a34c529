"""Uploads are stored once, without a copy elsewhere."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files import move
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from dashboard.models import Upload

pytestmark = pytest.mark.django_db


def test_a_large_file_is_moved_to_its_place_and_leaves_nothing_behind(
    logged_in: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise AssertionError("The file is copied.")

    monkeypatch.setattr(move, "copystat", fail)  # what comes after a copy
    content = b"id\n" + b"1234567\n" * 500_000
    answer = logged_in.post("/api/v1/uploads", {"file": SimpleUploadedFile("large.csv", content)})
    assert answer.status_code == 201, answer.content
    assert Path(settings.FILE_UPLOAD_TEMP_DIR).parent == Path(settings.MEDIA_ROOT).parent  # one file system
    stored = Path(Upload.objects.get(pk=answer.json()["id"]).file.path)
    assert stored.read_bytes() == content
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert not [each for each in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir() if each.stat().st_size == len(content)]
