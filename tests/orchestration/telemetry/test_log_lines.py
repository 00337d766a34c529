"""Lines of the log: JSON that says what it is about, text that says it too, and no secret in either."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
import structlog

from orchestration.processors import secrets
from orchestration.telemetry import log_context, log_lines
from orchestration.telemetry.log_lines import JsonFormatter, LineFormatter

log = logging.getLogger("a.processor")
SECRET = "hunter2-hunter2-hunter2"


class Kept(logging.Handler):
    """Keeps lines as a formatter makes them."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.lines = list[str]()
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def last(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.lines[-1])
        return found


@pytest.fixture
def kept_json() -> Iterator[Kept]:
    handler = Kept(JsonFormatter())
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


@pytest.fixture
def kept_lines() -> Iterator[Kept]:
    handler = Kept(LineFormatter())
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


def test_a_line_is_one_json_object_with_what_the_work_is_about(kept_json: Kept) -> None:
    with log_context.bound(batch="b1", node="batch-b1/c3", attempt=2, user=None):
        log.warning("Slow by %s s", 3, extra={"status_code": 504, "request": object()})
    assert kept_json.last.pop("timestamp").endswith("+00:00")
    assert {name: value for name, value in kept_json.last.items() if name != "timestamp"} == {
        "level": "warning",
        "logger": "a.processor",
        "message": "Slow by 3 s",
        "batch": "b1",
        "node": "batch-b1/c3",
        "attempt": 2,
        "status_code": 504,
    }
    log.warning("One\nof two lines")
    assert "\n" not in kept_json.lines[-1]
    assert "batch" not in kept_json.last


def test_an_exception_is_a_structure_with_its_cause_and_without_its_variables(kept_json: Kept) -> None:
    try:
        try:
            password = SECRET
            raise KeyError("gone")
        except KeyError as error:
            raise ValueError(f"No {len(password)}") from error
    except ValueError:
        log.exception("It failed.")
    last, cause = kept_json.last["exception"]
    assert (last["exc_type"], last["exc_value"]) == ("ValueError", f"No {len(SECRET)}")
    assert (cause["exc_type"], cause["is_cause"]) == ("KeyError", True)
    assert last["frames"][-1]["name"].startswith("test_an_exception")
    assert SECRET not in kept_json.lines[-1]


def test_a_secret_is_masked_wherever_it_stands(
    kept_json: Kept, kept_lines: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_revealed", {SECRET})
    secrets.mask_logs()
    try:
        raise ValueError(f"401 for {SECRET}")
    except ValueError:
        with log_context.bound(item=f"https://example.org/?key={SECRET}"):
            log.exception("Not with %s", SECRET, extra={"given": {"header": SECRET}})
    assert SECRET not in kept_json.lines[-1]
    assert kept_json.last["exception"][0]["exc_value"] == f"401 for {secrets.MASK}"
    assert kept_json.last["given"] == {"header": secrets.MASK}
    assert SECRET not in kept_lines.lines[-1]


def test_a_line_of_text_ends_with_what_it_is_about_before_the_traceback(kept_lines: Kept) -> None:
    log.warning("As it was.")
    assert kept_lines.lines[-1].endswith(" WARNING a.processor As it was.")
    try:
        raise ValueError("no")
    except ValueError:
        with log_context.bound(item="a key", batch="b1", node="batch-b1/c3"):
            log.exception("It failed.")
    first, *rest = kept_lines.lines[-1].splitlines()
    assert first.endswith('ERROR a.processor It failed. [batch=b1 node=batch-b1/c3 item="a key"]')
    assert rest[-1] == "ValueError: no"


async def test_what_work_is_about_follows_it_into_tasks_and_threads_and_not_into_others(kept_json: Kept) -> None:
    async def of_item(key: str) -> None:
        with log_context.bound(item=key):
            await asyncio.sleep(0)
            with ThreadPoolExecutor(1) as pool:
                await asyncio.get_running_loop().run_in_executor(pool, copy_context().run, log.warning, key)

    with log_context.bound(batch="b1"):
        await asyncio.gather(of_item("one"), of_item("two"))
        log.warning("after")
    lines = [json.loads(line) for line in kept_json.lines]
    assert sorted((line["message"], line["batch"], line.get("item")) for line in lines) == [
        ("after", "b1", None),
        ("one", "b1", "one"),
        ("two", "b1", "two"),
    ]


def test_what_a_processor_binds_by_structlog_and_what_others_add_is_in_the_line(
    kept_json: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_context, "_sources", [])
    log_context.add_source(lambda: {"trace": "4bf92f3577b34da6a3ce929d0e0e4736"})
    with structlog.contextvars.bound_contextvars(customer=42):
        log.warning("Hello")
    assert (kept_json.last["customer"], kept_json.last["trace"][:4]) == (42, "4bf9")


def test_a_format_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(ValueError, match="LOG_FORMAT is 'xml'"):
        log_lines.logging_config()


def test_what_ends_a_process_is_a_line_of_json_too() -> None:
    program = "from orchestration.telemetry import log_lines; log_lines.configure(); import warnings;"
    program += "warnings.warn('old'); raise RuntimeError('the end')"
    ended = subprocess.run(
        [sys.executable, "-c", program], env={"LOG_FORMAT": "json"}, capture_output=True, text=True, check=False
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["warning", "critical"]
    assert lines[1]["exception"][0]["exc_value"] == "the end"
    assert ended.returncode == 1
