"""Dashboard and alerts: every metric in them is exported, every runbook is there, and alerts fire in time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import temporalio.bridge
import yaml

from dashboard.documentation.metric_reference import SECTIONS, SUFFIXES, families, sample_names
from dashboard.documentation.pages import DOCS
from orchestration.telemetry.registry import REGISTRY

ALERTS = DOCS / "deployment" / "alerts.yml"
DASHBOARD = DOCS / "deployment" / "grafana" / "canopy.json"
TESTS_OF_ALERTS = Path(__file__).with_name("alerts_test.yml")
SITE = "https://canopy.example.org/docs/"

WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "le", "offset"}
OF_PROMETHEUS = {"up"}
LABELS = re.compile(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)|\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|'[^']*'")
NAME = re.compile(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b(?!\s*\()")
SELECTED_LABELS = re.compile(r"([a-z_]\w*)\s*\{([^}]*)\}")


def metrics_in(query: str) -> set[str]:
    """Return the names of metrics in a query: what is no label, duration, function or word of PromQL."""
    names = set(NAME.findall(LABELS.sub(" ", query.replace("$__rate_interval", "5m"))))
    return {name for name in names - WORDS if not re.fullmatch(r"\d+[smhd]?", name)}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def queries_of_dashboard() -> Iterator[str]:
    found = json.loads(DASHBOARD.read_text())
    for panel in found["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for variable in found["templating"]["list"]:
        if variable["type"] == "query":
            yield re.sub(r"label_values\((.*), \w+\)", r"\1", variable["definition"])
    yield from (each["expr"] for each in found["annotations"]["list"])


def is_of_the_sdk(name: str, core: bytes) -> bool:
    """Whether Temporal's native core has a metric: its program contains the name without prefix and suffixes."""
    bare = re.sub(r"(_seconds)?(_bucket|_sum|_count|_total)?$", "", name.removeprefix("temporal_"))
    return name.startswith("temporal_") and bare.encode() in core


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('sum by (le) (rate(a_bucket{x="y"}[5m])) > 10 and on (instance) b == bool 0', {"a_bucket", "b"}),
        ("histogram_quantile(0.95, sum by (le, route) (rate(c_bucket[$__rate_interval])))", {"c_bucket"}),
        ("absent(d) or time() - max(e{f=~'g.*'}) > 1e3", {"d", "e"}),
    ],
)
def test_names_of_metrics_are_found_in_a_query(query: str, names: set[str]) -> None:
    assert metrics_in(query.replace("1e3", "1000")) == names


def test_every_metric_in_alerts_and_dashboard_is_one_that_is_exported() -> None:
    bridge = next(Path(str(temporalio.bridge.__file__)).parent.glob("temporal_sdk_bridge*"))
    core, known = bridge.read_bytes(), sample_names() | OF_PROMETHEUS
    used = {
        name for query in [*(rule["expr"] for rule in rules()), *queries_of_dashboard()] for name in metrics_in(query)
    }
    assert {name for name in used if name not in known and not is_of_the_sdk(name, core)} == set()
    assert len(used) > 45
    of_canopy = {each.name for title in SECTIONS for each in families(title)}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    assert of_canopy - shown == set(), "The dashboard or an alert has a use for every metric."


def test_every_label_in_alerts_is_one_of_its_metric() -> None:
    labels = {each.name: {*each.labels, "instance", "job"} for title in SECTIONS for each in families(title)}
    for rule in rules():
        for name, given in SELECTED_LABELS.findall(rule["expr"]):
            if name in labels:
                assert set(re.findall(r"(\w+)\s*[=!]", given)) <= labels[name], rule["alert"]


def test_every_alert_says_what_is_wrong_and_where_to_read_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) > 15
    for rule in rules():
        notes = rule["annotations"]
        assert set(notes) == {"summary", "description", "runbook_url"}, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert notes["runbook_url"].startswith(SITE), rule["alert"]
        path, _, anchor = notes["runbook_url"].removeprefix(SITE).partition("#")
        page = (DOCS / path.rstrip("/")).with_suffix(".md")
        assert page.exists(), rule["alert"]
        headings = {heading.lower() for heading in re.findall(r"^### (\w+)$", page.read_text(), re.MULTILINE)}
        assert not anchor or anchor in headings, rule["alert"]


def test_alerts_that_runbooks_name_exist() -> None:
    named = {
        name
        for page in (DOCS / "runbooks").glob("*.md")
        for name in re.findall(r"Alerts? `(Canopy\w+)`", page.read_text())
    }
    assert named <= {rule["alert"] for rule in rules()}
    assert named


def test_every_metric_is_documented_with_its_unit_and_begins_with_canopy() -> None:
    for title in SECTIONS:
        for each in families(title):
            assert each.name.startswith("canopy_")
            assert each.about.endswith("."), each.name
            assert each.kind != "histogram" or each.name.endswith("_seconds"), each.name
            assert "_id" not in "".join(each.labels), each.name
    ours = {metric.name for metric in REGISTRY.collect() if metric.name.startswith("canopy_")}
    documented = {each.name.removesuffix("_total") for title in SECTIONS for each in families(title)}
    assert ours == documented
    assert set(SUFFIXES) >= {"counter", "histogram"}


def test_prometheus_takes_the_alerts_and_fires_them_in_time(tmp_path: Path) -> None:
    """Where there is no promtool the names alone are held, above."""
    shutil.copy(ALERTS, tmp_path / "alerts.yml")
    shutil.copy(TESTS_OF_ALERTS, tmp_path / "alerts_test.yml")
    assert yaml.safe_load(TESTS_OF_ALERTS.read_text())["rule_files"] == ["alerts.yml"]
    if (promtool := shutil.which("promtool")) is None:
        return
    shown = [query.replace("$__rate_interval", "5m") for query in queries_of_dashboard() if query.strip()]
    rules_of_dashboard = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(shown)]
    (tmp_path / "dashboard.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules_of_dashboard}]})
    )
    for command in (
        ["check", "rules", "alerts.yml", "dashboard.yml"],
        ["test", "rules", "alerts_test.yml"],
    ):
        ended = subprocess.run([promtool, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
