"""file_digest: on a real folder, and on an S3-compatible server on loopback."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import obstore
import pytest
from PIL import Image
from pydantic import ValidationError

from orchestration.processors.builtin.file_digest import file_digest
from orchestration.processors.catalogue import load
from orchestration.processors.data.buckets import Bucket
from orchestration.processors.data.file_stores import file_store
from orchestration.processors.data.files import StoreMissing
from orchestration.testing import Outcome, process_items
from tests.support import servers
from tests.support.stack import free_port


def picture(kind: str = "PNG", size: tuple[int, int] = (300, 200), mode: str = "RGB") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (1, 1), (20, 120, 80)).convert(mode).resize(size).save(written, kind)
    return written.getvalue()


FILES = {
    "notes.txt": b"one\ntwo\nthree",
    "empty.csv": b"",
    "deep/ümlaut.md": "# Grüße\n".encode() * 1_000_000,
    "scan.jpg": picture("JPEG"),
    "torn.png": picture()[:60],
    "logs.gz": gzip.compress(b"x" * 1000),
    "blob": bytes(range(256)) * 10,
}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3-compatible server with an empty bucket `archive`; returns its address."""
    with servers.s3(tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture(params=["folder", "bucket"])
def archive(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file store ARCHIVE with the files; returns its kind, "folder" or "bucket"."""
    load()
    if request.param == "folder":
        for name, content in FILES.items():
            (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "files" / name).write_bytes(content)
        (tmp_path / "secret.txt").write_text("not below the folder")
        (tmp_path / "files" / "way-out").symlink_to(tmp_path / "secret.txt")
        monkeypatch.setenv("CANOPY_FILES_ARCHIVE", str(tmp_path / "files"))
        return "folder"
    address = request.getfixturevalue("s3")
    monkeypatch.setenv("CANOPY_FILES_ARCHIVE", f"s3://archive/2026?endpoint={address}")
    monkeypatch.setenv("CANOPY_FILES_ARCHIVE_KEY_ID", "someone")
    monkeypatch.setenv("CANOPY_FILES_ARCHIVE_SECRET", "s3cr3t-of-the-archive")
    store = file_store("ARCHIVE")
    assert isinstance(store, Bucket)
    for name, content in FILES.items():
        obstore.put(store.store, name, content)
    return "bucket"


async def digest(*paths: str, **parameters: object) -> list[Outcome]:
    given = {"store": "ARCHIVE", **parameters}
    return await process_items(file_digest, [{"path": path} for path in paths], given, item_attempts=2)


async def test_each_file_has_its_size_checksum_type_and_lines(archive: str) -> None:
    found = {outcome.result["path"]: outcome.result for outcome in await digest(*FILES)}
    for path, content in FILES.items():
        assert (found[path]["size"], found[path]["checksum"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert {path: (each["mime"], each["lines"]) for path, each in found.items()} == {
        "notes.txt": ("text/plain", 3),
        "empty.csv": ("text/csv", 0),
        "deep/ümlaut.md": ("text/markdown", 1_000_000),
        "scan.jpg": ("image/jpeg", None),
        "torn.png": ("image/png", None),
        "logs.gz": ("application/x-gzip", None),
        "blob": ("application/octet-stream", None),
    }
    scan = found["scan.jpg"]
    assert (scan["width"], scan["height"]) == (300, 200)
    kind, _, data = scan["thumbnail"].partition(",")
    assert kind == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as small:
        assert small.size == (96, 64)
    assert found["torn.png"]["thumbnail"] is None


async def test_checksum_and_thumbnails_are_optional(archive: str) -> None:
    (scan,) = await digest("scan.jpg", checksum="md5", thumbnails=False)
    assert scan.result["checksum"] == hashlib.md5(FILES["scan.jpg"]).hexdigest()
    assert (scan.result["width"], scan.result["thumbnail"]) == (300, None)


@pytest.fixture
def pictures(tmp_path: Path, make_store: Callable[[str], None]) -> Path:
    """A folder that is the file store ARCHIVE."""
    make_store(str(tmp_path))
    return tmp_path


async def test_what_is_named_like_an_image_starts_no_program(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, started = pictures / "bin" / "gs", pictures / "started"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {started}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    (pictures / "scan.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\nshowpage\n")
    (scan,) = await digest("scan.jpg")
    assert (scan.result["width"], scan.result["thumbnail"]) == (None, None)
    assert "not one of JPEG, PNG, WEBP, GIF, TIFF" in scan.result["note"]
    assert not started.exists()


@pytest.mark.parametrize("kind", ["BMP", "ICO", "TGA", "PPM", "PCX"])
async def test_other_formats_are_not_decoded(pictures: Path, kind: str) -> None:
    (pictures / "scan.png").write_bytes(picture(kind))
    (scan,) = await digest("scan.png")
    assert scan.result["thumbnail"] is None


async def test_an_image_of_many_pixels_is_not_decoded(pictures: Path) -> None:
    (pictures / "bomb.png").write_bytes(picture(size=(9_000, 9_000), mode="1"))
    (pictures / "large.png").write_bytes(picture(size=(5_000, 4_000), mode="RGBA"))
    bomb, large = await digest("bomb.png", "large.png")
    assert (bomb.result["width"], bomb.result["height"], bomb.result["thumbnail"]) == (9_000, 9_000, None)
    assert bomb.result["note"] == "No thumbnail: 81.0 megapixels, at most 20 are decoded."
    assert large.result["thumbnail"]
    assert large.result["note"] is None


@pytest.mark.parametrize("path", ["nowhere.txt", "../secret.txt", "deep/../../secret.txt", "way-out", "deep"])
async def test_a_path_outside_of_the_store_does_not_exist(archive: str, path: str) -> None:
    (none,) = await digest(path)
    assert (none.result, none.error_type, none.attempts) == (None, "NoSuchFile", 1)


async def test_a_store_that_is_not_configured_is_reported(archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_FILES_ODD", "ftp://archive")
    for name, reason in {"OTHER": "CANOPY_FILES_OTHER is not set", "ODD": "is neither an absolute folder"}.items():
        (none,) = await digest("notes.txt", store=name)
        assert none.error_type == "StoreMissing"
        assert reason in none.error
    with pytest.raises(ValidationError, match="Enter the name of a file store"):
        await digest("notes.txt", store="../etc")


async def test_an_unreachable_bucket_is_retried_and_its_secret_is_masked(
    monkeypatch: pytest.MonkeyPatch, make_store: Callable[[str], None]
) -> None:
    make_store(f"s3://archive?endpoint=http://127.0.0.1:{free_port()}")
    (away,) = await digest("notes.txt")
    assert (away.error_type, away.attempts) == ("StoreFailed", 2)
    assert "s3cr3t" not in away.error


@contextmanager
def answering(headers: dict[str, str], status: int, content: bytes = b"") -> Iterator[tuple[str, list[str]]]:
    """Run a server that answers everything so; yield its address and what it was sent."""
    sent = list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(f"{self.path}\n{self.headers}")
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *given: object) -> None:
            """Keep the output of tests short."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", sent
        server.shutdown()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_bucket_that_redirects_is_not_followed(status: int, make_store: Callable[[str], None]) -> None:
    with (
        answering({}, 200, b"of another host") as (other, arrived),
        answering({"Location": f"{other}/latest/meta-data/"}, status) as (bucket, asked),
    ):
        make_store(f"s3://archive?endpoint={bucket}")
        (failed,) = await digest("notes.txt")
    assert (failed.result, failed.error_type, arrived) == (None, "StoreFailed", [])
    assert f"answered {status}" in failed.error
    assert asked[0].startswith("/archive/notes.txt?")


async def test_what_is_signed_has_no_token_of_the_workers_environment(
    monkeypatch: pytest.MonkeyPatch, make_store: Callable[[str], None]
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "s3cr3t-of-the-session")
    with answering({}, 200, b"content") as (bucket, asked):
        make_store(f"s3://archive?endpoint={bucket}")
        (found,) = await digest("notes.txt")
    assert found.result["size"] == len(b"content")
    assert "X-Amz-Credential=someone%2F" in asked[0]
    assert "s3cr3t" not in asked[0]


async def test_a_bucket_without_a_key_is_asked_unsigned_and_nobody_else_is(
    monkeypatch: pytest.MonkeyPatch, make_store: Callable[[str], None]
) -> None:
    with answering({}, 200, b"public") as (bucket, asked), answering({}, 200) as (metadata, dialed):
        make_store(f"s3://archive/2026?endpoint={bucket}")
        monkeypatch.delenv("CANOPY_FILES_ARCHIVE_KEY_ID")
        monkeypatch.delenv("CANOPY_FILES_ARCHIVE_SECRET")
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", metadata)
        (found,) = await digest("a b.txt")
    assert found.result["size"] == len(b"public")
    assert asked[0].splitlines()[0] == "/archive/2026/a%20b.txt"
    assert dialed == []


@pytest.fixture
def make_store(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def make(url: str) -> None:
        load()
        monkeypatch.setenv("CANOPY_FILES_ARCHIVE", url)
        monkeypatch.setenv("CANOPY_FILES_ARCHIVE_KEY_ID", "someone")
        monkeypatch.setenv("CANOPY_FILES_ARCHIVE_SECRET", "s3cr3t-of-the-archive")

    return make


def test_a_worker_without_a_client_of_buckets_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("obstore", "orchestration.processors.data.buckets"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setenv("CANOPY_FILES_ELSEWHERE", "s3://elsewhere")
    with pytest.raises(StoreMissing, match=r"pip install 'canopy-fanout\[s3\]'"):
        file_store("ELSEWHERE")
