"""Uploads: parameters that are files. A batch stores the id; a worker fetches the content once, into a local cache."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

ID_LENGTH = 64

Fetch = Callable[[str], Iterable[bytes]]


class UploadGone(LookupError):
    """The upload does not exist, or was deleted."""


class Upload:
    """A parameter that is a file: chosen in the form, or uploaded over the API and named by its id.

    Forms, batches and Temporal hold its id, name and size in bytes; `path` is the file on the worker's machine.
    """

    def __init__(self, upload: str, name: str = "", size: int = 0, *, at: Path | None = None) -> None:
        """Raise ValueError for an invalid id. `size` is in bytes; `at` is the file, if it need not be fetched."""
        if not upload or len(upload) > ID_LENGTH or not upload.replace("-", "").replace("_", "").isalnum():
            raise ValueError("This is not an upload id.")
        self.upload, self.name, self.size, self._at = upload, name, size, at

    @classmethod
    def at(cls, path: Path) -> Upload:
        """Return a local file as an upload, for tests of a processor."""
        return cls("local", path.name, path.stat().st_size, at=path)

    @property
    def path(self) -> Path:
        """Path of the file, fetched on first use. Raises UploadGone, and whatever fetching raises."""
        return self._at or _cache.path(self.upload)

    def read_text(self) -> str:
        """Return the file's content as UTF-8 text. Raises UnicodeDecodeError, and as `path` does."""
        return self.path.read_text("utf-8")

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {"upload": self.upload, "name": self.name, "size": self.size}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Upload) and other.upload == self.upload

    def __hash__(self) -> int:
        return hash(self.upload)

    def __repr__(self) -> str:
        return f"Upload({self.name or self.upload!r})"

    def __str__(self) -> str:
        return self.name or self.upload

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate data, an id alone, or an Upload; serialise to data."""
        serialize = core_schema.plain_serializer_function_ser_schema(cls.as_data)
        return core_schema.no_info_plain_validator_function(cls._read, serialization=serialize)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema that the API shows."""
        return {"type": "object", "properties": {"upload": {"type": "string"}}, "required": ["upload"]}

    @classmethod
    def _read(cls, given: Any) -> Upload:
        if isinstance(given, cls):
            return given
        data = {"upload": given} if isinstance(given, str) else given
        if not isinstance(data, dict) or not isinstance(data.get("upload"), str):
            raise ValueError("Enter the id of an upload.")
        name, size = data.get("name", ""), data.get("size", 0)
        return cls(data["upload"], str(name), size if isinstance(size, int) else 0)


class _UploadCache:
    """Cache of the uploads that this process has fetched, in a temporary folder of its own."""

    def __init__(self) -> None:
        self._fetch: Fetch | None = None
        self._lock = threading.Lock()
        self._locks = defaultdict[str, threading.Lock](threading.Lock)
        self._folder: Path | None = None

    def set_source(self, fetch: Fetch | None) -> None:
        self._fetch = fetch

    def path(self, upload: str) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="canopy-uploads-"))
            found, lock = self._folder / upload, self._locks[upload]
        with lock:  # its own: one that takes long holds up no other
            if not found.exists():
                self._write(upload, found)
        return found

    def _write(self, upload: str, found: Path) -> None:
        if self._fetch is None:
            raise UploadGone(f"Upload {upload} cannot be fetched here: this process is no worker.")
        part = found.with_name(f"{found.name}.part")
        with part.open("wb") as file:
            for content in self._fetch(upload):
                file.write(content)
        part.rename(found)

    def remove(self) -> None:
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


_cache = _UploadCache()
set_upload_source = _cache.set_source
"""Set the function that yields the content of an upload by its id, or raises UploadGone."""

remove_fetched = _cache.remove
"""Delete the fetched files; called when a worker stops."""
