"""canopy web: how it has uvicorn serve."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import uvicorn

from dashboard.cli import web
from dashboard.server import static_files


def test_lines_of_the_server_go_where_all_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn gives its loggers handlers and a format of its own, unless it is told not to."""
    given = dict[str, Any]()
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: given.update(app=app, **options))
    monkeypatch.setattr(web, "require_migrated", lambda: None)
    monkeypatch.setattr(static_files, "collect_static", lambda: None)
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)  # a server of another test may have set it
    web.web()
    before = [list(logging.getLogger(name).handlers) for name in ("uvicorn", "uvicorn.error")]
    uvicorn.Config(**given)
    assert [logging.getLogger(name).handlers for name in ("uvicorn", "uvicorn.error")] == before
    assert logging.getLogger("uvicorn").propagate
