"""Texts in two languages: none that cannot be translated, none that is not, and a German page is German."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from dashboard.i18n.formatting import duration
from dashboard.management.extract_texts import module_source, translatable_texts
from dashboard.templatetags.canopy import tally_words
from orchestration.contracts.status import Status
from orchestration.plan.plan import Plan
from orchestration.plan.validation import warnings
from tests.support.builders import make_batch, run_children, start_root
from tests.support.stack import ROOT

CATALOGUES = ROOT / "dashboard" / "locale" / "de" / "LC_MESSAGES"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").rglob("*.js"))
CODE = [path for folder in ("dashboard", "orchestration") for path in (ROOT / folder).rglob("*.py")]


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    """Requests leave their language behind, to be replaced by the next one."""
    translation.activate("en")
    yield
    translation.activate("en")


TAG = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}|<!--.*?-->|<!doctype[^>]*>|</?[a-zA-Z](?:{{.*?}}|{%.*?%}|[^<>])*>", re.S)
TRANSLATED = re.compile(r"{%\s*blocktranslate.*?endblocktranslate\s*%}", re.S)
BLOCK = re.compile(r"{% blocktranslate[^%]*%}(.*?)(?:{% plural %}.*?)?{% endblocktranslate %}", re.S)
UNSPOKEN = re.compile(r"<(style|script|code|kbd|pre)\b.*?</\1>", re.S)
SPOKEN_ATTRIBUTE = re.compile(
    r'(?:aria-label|title|placeholder|alt|data-key-name|data-label)="((?:{{.*?}}|{%.*?%}|[^"])*)"', re.S
)
WORD = re.compile(r"[A-Za-z]{2,}")
GETTEXT = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext"}


def messages(domain: str) -> polib.POFile:
    return polib.pofile(str(CATALOGUES / f"{domain}.po"))


def bare(text: str) -> list[str]:
    """Return words of a template that stand outside of tags that translate."""
    text = UNSPOKEN.sub("", TRANSLATED.sub("", text))
    spoken = [TAG.sub("", each) for each in SPOKEN_ATTRIBUTE.findall(text)]
    return [each.strip() for each in (*TAG.split(text), *spoken) if WORD.search(each)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_words_of_its_own(path: Path) -> None:
    assert bare(path.read_text()) == []


def spoken_by_templates() -> Iterator[str]:
    for path in TEMPLATES:
        text = path.read_text()
        for one, other in re.findall(r'{% translate "(.*?)" %}|_\("(.*?)"\)', text):
            yield one or other
        for block in re.findall(
            r"{% blocktranslate[^%]*%}(.*?)(?:{% plural %}.*?)?{% endblocktranslate %}", text, re.S
        ):
            yield re.sub(r"{{ (\w+) }}", r"%(\1)s", block.replace("%", "%%"))


def spoken_by_code() -> Iterator[str]:
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in GETTEXT):
                continue
            text = node.args[0]
            if isinstance(text, ast.Constant):
                yield str(text.value)


def test_every_text_is_in_the_catalogue() -> None:
    known = {entry.msgid for entry in messages("django")}
    assert sorted({*spoken_by_templates(), *spoken_by_code()} - known) == []
    scripts = "\n".join(path.read_text() for path in SCRIPTS)
    spoken = set(re.findall(r'n?gettext\(\s*"(.*?)"', scripts, re.S))
    assert sorted(spoken - {entry.msgid for entry in messages("djangojs")}) == []


def test_what_code_without_django_says_is_in_the_catalogue() -> None:
    assert (ROOT / "dashboard" / "i18n" / "engine_texts.py").read_text() == module_source(translatable_texts())


@pytest.mark.parametrize("domain", ["django", "djangojs"])
def test_german_is_complete_and_compiled(domain: str) -> None:
    german = messages(domain)
    assert [entry.msgid for entry in german if not entry.translated() or entry.fuzzy] == []
    for entry in german:
        said = [entry.msgstr, *entry.msgstr_plural.values()]
        wanted = set(re.findall(r"%\(\w+\)s", entry.msgid + entry.msgid_plural))
        assert all(set(re.findall(r"%\(\w+\)s", each)) <= wanted for each in said), entry.msgid
    compiled = polib.mofile(str(CATALOGUES / f"{domain}.mo"))
    assert {(e.msgid, e.msgstr, str(e.msgstr_plural)) for e in compiled} == {
        (e.msgid, e.msgstr, str(e.msgstr_plural)) for e in german
    }


def test_numbers_durations_and_the_engine_speak_the_readers_language() -> None:
    with translation.override("de"):
        assert duration(1.5) == "1,50 s"
        assert tally_words({"failed": 1204, "completed": 1}) == "1.204 fehlgeschlagen, 1 abgeschlossen"
        assert "nacheinander" in " ".join(warnings(Plan(window=1), 10))
    assert tally_words({"failed": 1204}) == "1,204 failed"


@pytest.mark.django_db
def test_a_german_page_is_german_and_its_pictures_are_drawn(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 3)
    start_root(batch)
    run_children(batch, {0: Status.FAILED, 1: Status.COMPLETED})
    german = {"Accept-Language": "de"}
    page = logged_in.get(f"/batches/{batch.pk}/", headers=german).content.decode()
    assert '<html lang="de"' in page
    assert "Fehlgeschlagene wiederholen" in page
    numbers = re.findall(r'\b(?:x|y|width|height|d)="([^"]*)"', page)
    assert [each for each in numbers if re.search(r"\d,\d", each)] == []
    refused = logged_in.post("/launch/simulate/", {"parameters-seconds_from": "viele"}, headers=german)
    assert "Es wurde nichts gestartet" in refused.content.decode()


@pytest.mark.django_db
def test_a_person_chooses_the_language(logged_in: Client) -> None:
    answer = logged_in.post("/appearance/", {"language": "de"}, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (204, "true")
    assert "Übersicht" in logged_in.get("/").content.decode()
    assert "Verbindet neu" in logged_in.get("/texts/de/").content.decode()
    logged_in.post("/appearance/", {"language": "klingon"})
    assert "Übersicht" in logged_in.get("/").content.decode()
    logged_in.post("/appearance/", {"language": ""})
    assert "Home" in logged_in.get("/").content.decode()
