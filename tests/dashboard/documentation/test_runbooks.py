"""Runbooks have the parts that somebody looks for at night, and every alert leads to one that names it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.support.environment import ROOT

RUNBOOKS = sorted(path for path in (ROOT / "docs" / "runbooks").glob("*.md") if path.name != "index.md")
ALERTS = ROOT / "docs" / "deployment" / "alerts.yml"


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_says_how_one_notices_what_it_means_what_to_do_and_when_it_is_over(page: Path) -> None:
    headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    needed = ["How you notice", "What it means", "What to do", "It is over when"]
    assert [each for each in headings if each in needed] == needed
    assert f"]({page.name}" in (ROOT / "docs" / "runbooks" / "index.md").read_text()
    assert f"runbooks/{page.name}" in (ROOT / "mkdocs.yml").read_text()


def test_every_alert_leads_to_a_page_that_names_it() -> None:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    alerts = {rule["alert"]: rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]}
    assert len(alerts) > 10
    for alert, address in alerts.items():
        path = urlsplit(address).path.removeprefix("/docs/").strip("/")
        assert alert in (ROOT / "docs" / f"{path}.md").read_text(), f"{address} does not say what to do about {alert}."
    known = set(re.findall(r"`(Canopy[A-Z]\w+)`", "".join(page.read_text() for page in RUNBOOKS))) - {"CanopyPlugin"}
    assert known <= set(alerts)
