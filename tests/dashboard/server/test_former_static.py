"""Two releases serve at the same time: each answers for the static files of both."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.files.base import ContentFile
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from dashboard.models import StaticFile
from dashboard.server.former_static import FOR_EVER, KEPT_FOR, former_static, keep_static_files
from dashboard.server.static_storage import StaticStorage

pytestmark = pytest.mark.django_db

OURS, THEIRS = "js/app.0123456789ab.js", "js/app.ba9876543210.js"


@pytest.fixture(autouse=True)
def collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StaticStorage:
    """This release's collected files: one, in its place for static files."""
    storage = StaticStorage(location=str(tmp_path), base_url="/static/")
    storage._save(OURS, ContentFile(b"export const release = 2;"))
    storage.hashed_files = {"js/app.js": OURS, "js/gone.js": "js/gone.0123456789ab.js"}
    monkeypatch.setattr(staticfiles_storage, "_wrapped", storage)
    return storage


def test_a_file_that_another_release_has_kept_is_served_as_it_is_there(visitor: Client) -> None:
    StaticFile.objects.create(name=THEIRS, content=b"export const release = 1;", served_at=timezone.now())
    answer = visitor.get(f"/static/{THEIRS}")
    assert answer.status_code == 200
    assert answer.content == b"export const release = 1;"
    assert answer["Content-Type"].partition(";")[0] == "text/javascript"
    assert answer["Cache-Control"] == FOR_EVER


def test_a_file_that_nobody_has_kept_is_the_one_of_this_release_for_now(visitor: Client) -> None:
    answer = visitor.get(f"/static/{THEIRS}")
    assert answer.content == b"export const release = 2;"
    assert answer["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["js/none.0123456789ab.js", "js/none.js", "js/gone.ba9876543210.js"])
def test_what_no_release_has_is_not_found(name: str) -> None:
    asked = former_static(lambda request: HttpResponse(status=404))
    assert asked(RequestFactory().get(f"/static/{name}")).status_code == 404


def test_a_process_keeps_its_files_and_forgets_those_that_nobody_serves_any_more() -> None:
    old = timezone.now() - KEPT_FOR - timedelta(days=1)
    StaticFile.objects.create(name=THEIRS, content=b"", served_at=old)
    keep_static_files()
    assert [*StaticFile.objects.values_list("name", flat=True)] == [OURS]
    StaticFile.objects.update(served_at=old)
    keep_static_files()
    assert bytes(StaticFile.objects.get().content) == b"export const release = 2;"
    assert StaticFile.objects.get().served_at > old
