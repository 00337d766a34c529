"""The file of a backup: whole or not there, private, and verified before anything is made of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from dashboard.backup.archive import reading, verified, writing
from dashboard.backup.errors import BackupError, BadBackup
from dashboard.backup.manifest import Manifest, check_release, vendor

CONTENT = bytes(range(256)) * 4_000


def manifest(**given: object) -> Manifest:
    return Manifest.model_validate(
        {"canopy": "0.2.0", "database": vendor(), "migrations": ["dashboard.0001_initial"], "secret_key": "f"} | given
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A backup of two parts."""
    path = tmp_path / "backup.tar.gz"
    with writing(str(path), manifest()) as writer:
        writer.add("database", io.BytesIO(CONTENT), len(CONTENT))
        writer.add("uploads/items/a.items", io.BytesIO(b"abc"), 3)
    return path


def test_a_backup_is_private_and_says_what_it_has(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    found = verified(file)
    assert {name: part.bytes for name, part in found.parts.items()} == {
        "database": len(CONTENT),
        "uploads/items/a.items": 3,
    }
    with reading(file) as parts:
        contents = {name: content.read() for name, content in parts}
    assert (contents["database"], contents["uploads/items/a.items"]) == (CONTENT, b"abc")


@pytest.mark.parametrize("kept", [0, 1, 10, 0.5, 0.9, 0.999])
def test_one_that_was_cut_off_is_no_backup(file: Path, kept: float) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    with pytest.raises(BadBackup):
        verified(file)


def test_one_that_was_changed_is_refused_wherever_it_was(file: Path) -> None:
    whole = file.read_bytes()
    for place in range(20, len(whole) - 8, len(whole) // 12):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with pytest.raises(BadBackup):
            verified(file)


def test_something_else_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("SELECT 1;")
    with pytest.raises(BadBackup, match="is not a whole backup"):
        verified(tmp_path / "text")
    with pytest.raises(BackupError, match="cannot be read"):
        verified(tmp_path / "nowhere")


def test_what_fails_leaves_the_former_backup_and_nothing_beside_it(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(BackupError, match="cannot be written"), writing(str(file), manifest()) as writer:
        writer.add("database", io.BytesIO(b"short"), 6)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"migrations": ["dashboard.0001_initial", "dashboard.9999_later"]}, "newer release, Canopy 0.2.0"),
        ({"migrations": ["other.0001_initial"]}, "other.0001_initial"),
        ({"format": 2}, "a format that this release does not know"),
        ({"database": "oracle"}, "of the kind oracle"),
    ],
)
def test_a_backup_that_this_release_cannot_read_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(BackupError, match=said):
        check_release(manifest(**given))
    check_release(manifest())
