"""Every environment variable that the code reads is described, with the code's default, and no other is."""

from __future__ import annotations

import ast

import pytest
import yaml

from dashboard.documentation import environment_reads
from dashboard.documentation.environment_reads import ROOT, defaults
from dashboard.documentation.variables import Variable, described, markdown, shown_default, variables

KNOWN = {each.code_name for each in variables()} | set(described().internal)
FORMER = {name.removeprefix("CANOPY_") for name in KNOWN}
"""Names of earlier releases (dashboard.environment.variable)."""


def test_every_variable_that_is_read_is_described() -> None:
    known = KNOWN | FORMER
    missing = {f"{read.name} ({read.path}:{read.line})" for read in environment_reads.reads() if read.name not in known}
    assert not missing, f"Describe them in dashboard/documentation/variables.toml, then `manage.py docs`: {missing}"


def test_every_variable_that_is_described_is_read() -> None:
    read = set(defaults())
    ours = [each for each in variables() if not each.read_by]
    assert [each.name for each in ours if each.code_name not in read] == []
    assert set(described().internal) - read == set()


def test_a_variable_is_described_once_and_says_what_it_is_for() -> None:
    names = [each.name for each in variables()]
    assert len(names) == len(set(names))
    assert [each.name for each in variables() if not each.about.endswith(".")] == []
    assert not set(names) & set(described().internal)


def test_the_table_shows_the_defaults_of_the_code() -> None:
    assert "| `PORT` | `8000` |" in markdown()
    assert "| `CANOPY_BODY_BYTES` | 4 MB |" in markdown()
    assert "| `CANOPY_SESSION_IDLE_SECONDS` | 12 h |" in markdown()
    assert "| `CANOPY_FROZEN_AFTER` | 30 s |" in markdown()


@pytest.mark.parametrize(
    ("unit", "sources", "shown"),
    [
        ("", {"''", "[]"}, "none"),
        ("", {"''", "False"}, "off"),
        ("", {"['a', 'b']"}, "`a`, `b`"),
        ("", {"1000000"}, "1,000,000"),
        ("bytes", {"1536"}, "1536 bytes"),
        ("bytes", {"64 * 1024"}, "64 kB"),
        ("seconds", {"90"}, "90 s"),
        ("seconds", {"7 * 24 * 3600"}, "7 d"),
    ],
)
def test_defaults_are_written_for_people(unit: str, sources: set[str], shown: str) -> None:
    assert shown_default(Variable(name="X", about="It.", unit=unit), sources) == shown


def test_a_default_without_a_plain_value_needs_words() -> None:
    for sources in ({"str(HOME / 'x')"}, {"1", "2"}):
        with pytest.raises(ValueError, match="say in words"):
            shown_default(Variable(name="X", about="It."), sources)


@pytest.mark.parametrize(
    ("source", "name", "default"),
    [
        ("env.int('SOME', default=3)", "SOME", "3"),
        ("env.str(variable('SOME'), default='')", "CANOPY_SOME", "''"),
        ("os.environ.get('SOME', 'x')", "SOME", "'x'"),
        ("os.environ['SOME']", "SOME", ""),
        ("'SOME' in os.environ", "SOME", ""),
        ("float(os.environ.get('SOME') or 30)", "SOME", "30"),
        ("NAME = 'SOME'\nos.getenv(NAME)", "SOME", ""),
        ("read('CANOPY_SOME_')", "CANOPY_SOME_", ""),
    ],
)
def test_a_read_is_found_however_it_is_written(source: str, name: str, default: str) -> None:
    module = environment_reads._Module("x.py", ast.parse(source), {"NAME": "SOME"}, {})
    found = [*environment_reads._calls(module, {}, {}), *environment_reads._texts(module)]
    assert (name, default) in {(read.name, read.default) for read in found}


def test_samples_of_compose_kubernetes_and_systemd_set_variables_that_exist() -> None:
    """A name that is written wrongly in a sample is a setting that does nothing."""
    folder = ROOT / "docs" / "deployment"
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    settings, secret = yaml.safe_load_all((folder / "kubernetes" / "settings.yaml").read_text())
    unit = [line for line in (folder / "systemd" / "environment").read_text().splitlines() if not line.startswith("#")]
    names = {*compose["x-canopy"]["environment"], *settings["data"], *secret["stringData"]}
    assert (names | {line.partition("=")[0] for line in unit}) - KNOWN == set()
