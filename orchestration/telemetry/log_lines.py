"""Lines of the log: as text, or with LOG_FORMAT=json as one JSON object each, for web, workers and `run` alike.

Both have what the work at hand is about (`log_context`). Secrets are masked in all of it.
"""

from __future__ import annotations

import json
import logging
import logging.config
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from structlog.tracebacks import ExceptionDictTransformer

from orchestration.telemetry import log_context

FORMAT = "LOG_FORMAT"
LEVEL = "LOG_LEVEL"
"""Variables of the environment: `json` or `line`, and the least level."""

SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.access")
"""Loggers to which uvicorn gives handlers and a format of its own."""

FRAMES = 30
"""Innermost and outermost frames of an exception that are written."""

ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has: the others were given as `extra`."""

Mask = Callable[[Any], Any]


class _Masking:
    """What masks secrets; whoever knows them sets it."""

    mask: Mask = staticmethod(lambda value: value)


def mask_with(mask: Mask) -> None:
    """Mask text and JSON-able data of all lines with a function."""
    _Masking.mask = staticmethod(mask)


def is_json() -> bool:
    """Whether lines are JSON."""
    return os.environ.get(FORMAT, "line").strip().lower() == "json"


def logging_config(loggers: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the configuration of Python's logging, in the format and from the level of the environment.

    Raises ValueError for a format that does not exist.
    """
    if (given := os.environ.get(FORMAT, "line").strip().lower()) not in ("", "line", "json"):
        raise ValueError(f"{FORMAT} is {given!r}: there are `line` and `json`.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"()": "orchestration.telemetry.log_lines.LineFormatter"},
            "json": {"()": "orchestration.telemetry.log_lines.JsonFormatter"},
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json" if is_json() else "line"}},
        "root": {"handlers": ["console"], "level": os.environ.get(LEVEL) or "INFO"},
        "loggers": {name: {"handlers": [], "propagate": True} for name in SERVERS}
        | {"httpx": {"level": "WARNING"}}
        | (loggers or {}),
    }


def configure() -> None:
    """Configure the logging of a process without Django. Raises ValueError."""
    logging.config.dictConfig(logging_config())
    log_what_ends_the_process()


def log_what_ends_the_process() -> None:
    """Have warnings and exceptions that nobody catches be lines of the log, where those are JSON."""
    if is_json():
        logging.captureWarnings(capture=True)
        sys.excepthook = _log_uncaught


def write_unlocked(text: str) -> None:
    """Write an error to standard error without logging's locks, which a thread that stands still may hold."""
    line = f"{text}\n"
    if is_json():
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"timestamp": now, "level": "error", "logger": "canopy", "message": text}) + "\n"
    os.write(2, line.encode())


class LineFormatter(logging.Formatter):
    """A line for people: time, level, logger, message, and in brackets what it is about."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        """Return the line."""
        line, about = super().formatMessage(record), log_context.fields()
        if not about:
            return line
        words = " ".join(f"{name}={_word(value)}" for name, value in sorted(about.items(), key=_place))
        return f"{line} [{words}]"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with a traceback below it if there is one."""
        return str(_Masking.mask(super().format(record)))


class JsonFormatter(logging.Formatter):
    """A JSON object: timestamp, level, logger, message, what it is about, and an exception with its frames."""

    _exceptions = ExceptionDictTransformer(show_locals=False, max_frames=FRAMES)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **dict(sorted(log_context.fields().items(), key=_place)),
        }
        for name, value in vars(record).items():
            if name not in ATTRIBUTES and not name.startswith("_") and isinstance(value, str | int | float | dict):
                line.setdefault(name, value)
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self._exceptions(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(_Masking.mask(line), ensure_ascii=False, default=str)


def _place(field: tuple[str, Any]) -> tuple[int, str]:
    name = field[0]
    known = log_context.FIELDS
    return (known.index(name) if name in known else len(known)), name


def _word(value: Any) -> str:
    """Return a value in one word, or quoted as JSON."""
    text = str(value)
    return text if text and text.isprintable() and " " not in text and '"' not in text else json.dumps(text)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger("canopy").critical("The process ends: %s", error, exc_info=(kind, error, trace))
