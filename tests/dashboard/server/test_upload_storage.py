"""Uploads are kept where all machines read them: in the database, in a folder or in a bucket."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from pytest_django import Settings

from dashboard.inputs.uploads import open_upload, store_upload
from dashboard.models import UploadPart
from dashboard.server.outages import Outage, UploadsAway, outage_of
from dashboard.server.upload_parts import PART_SIZE
from dashboard.server.upload_storage import UploadStorage
from orchestration.processors.uploads import UploadGone
from tests.support import builders, servers

pytestmark = pytest.mark.django_db

LONG = b"".join(b"%07d\n" % number for number in range(PART_SIZE // 3))
"""Two parts and a bit."""


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.s3(tmp_path_factory.mktemp("s3")) as address:
        yield f"s3://archive/uploads?endpoint={address}"


@pytest.fixture(params=["database", "folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, settings: Settings) -> UploadStorage:
    where = {"database": "database", "folder": str(tmp_path / "shared")}
    settings.CANOPY_UPLOADS = where.get(request.param) or request.getfixturevalue("bucket")
    settings.CANOPY_UPLOADS_KEY_ID, settings.CANOPY_UPLOADS_SECRET = "key", "secret-of-the-bucket"
    settings.MEDIA_ROOT = str(tmp_path / "home")
    return UploadStorage()


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", LONG, LONG[:PART_SIZE]], ids=["empty", "short", "long", "part"]
)
def test_what_another_machine_stored_is_read_as_it_was(storage: UploadStorage, content: bytes) -> None:
    name = storage.save("items/2026/11/x.items", ContentFile(content))
    elsewhere = UploadStorage()
    assert elsewhere.exists(name)
    assert elsewhere.size(name) == len(content)
    with elsewhere.open(name) as opened:
        assert opened.read() == content
        opened.seek(0)
        text = io.TextIOWrapper(opened, newline="")
        assert sum(map(len, text)) == len(content)
    with elsewhere.open(name) as opened:
        opened.seek(PART_SIZE - 3)
        assert opened.read(5) == content[PART_SIZE - 3 : PART_SIZE + 2]
    elsewhere.delete(name)
    assert not storage.exists(name)
    elsewhere.delete(name)


def test_what_was_kept_in_the_home_before_is_still_read(storage: UploadStorage, settings: Settings) -> None:
    name = FileSystemStorage(settings.MEDIA_ROOT).save("items/2025/1/old.items", ContentFile(b"old"))
    assert storage.exists(name)
    assert storage.size(name) == 3
    with storage.open(name) as opened:
        assert opened.read() == b"old"
    assert storage.save(name, ContentFile(b"new")) != name
    storage.delete(name)
    assert not storage.exists(name)


def test_an_upload_is_found_by_its_id_until_its_content_is_gone(settings: Settings, tmp_path: Path) -> None:
    settings.CANOPY_UPLOADS, settings.MEDIA_ROOT = "database", str(tmp_path)
    settings.STORAGES = {**settings.STORAGES}  # a new default storage
    upload = store_upload(builders.make_person("olga"), "x.csv", ContentFile(LONG))
    assert upload.file.storage.exists(str(upload.file.name))
    with open_upload(upload.pk) as opened:
        assert opened.read() == LONG
    UploadPart.objects.all().delete()
    with pytest.raises(UploadGone):
        open_upload(upload.pk)


def test_a_bucket_that_does_not_answer_is_an_outage(settings: Settings) -> None:
    settings.CANOPY_UPLOADS = "s3://archive/uploads?endpoint=http://127.0.0.1:1"
    settings.CANOPY_UPLOADS_KEY_ID, settings.CANOPY_UPLOADS_SECRET = "key", "secret-of-the-bucket"
    with pytest.raises(UploadsAway) as raised:
        UploadStorage().exists("x")
    assert "secret-of-the-bucket" not in str(raised.value)
    assert outage_of(raised.value) is Outage.AWAY
