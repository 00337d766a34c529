"""canopy docs: the documentation without a dashboard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from dashboard import resources
from dashboard.cli.docs import docs
from dashboard.cli.refusal import Refused
from tests.support.environment import ROOT

PROGRAM = """
import sys
from pathlib import Path
from dashboard import resources
sys.modules["django"] = None
resources.SITE = Path(sys.argv[1])
from dashboard.cli.docs import docs
docs(0)
"""


def test_it_serves_the_pages_on_loopback_without_django(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("runbooks")
    command = [sys.executable, "-uc", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[4]
        assert address.startswith("http://127.0.0.1:")
        assert httpx.get(address, timeout=60).text == "runbooks"
        server.terminate()


def test_without_a_site_it_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "SITE", tmp_path)
    with pytest.raises(Refused, match="make docs"):
        docs()


def test_it_says_where_the_pages_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "index.html").touch()
    monkeypatch.setattr(resources, "SITE", tmp_path)
    docs(path=True)
    assert capsys.readouterr().out == f"{tmp_path}\n"
