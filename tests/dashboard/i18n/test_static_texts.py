"""What readers of another language stumble over, found in the source: words, plurals and dates of one language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.stack import ROOT

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").rglob("*.js"))
SHEETS = sorted((ROOT / "static" / "css").rglob("*.css"))
CODE = [path for folder in ("dashboard", "orchestration") for path in sorted((ROOT / folder).rglob("*.py"))]

BLOCK = re.compile(r"{%\s*blocktranslate(?P<options>[^%]*)%}(?P<text>.*?){%\s*endblocktranslate\s*%}", re.S)
COUNTED = re.compile(r"[|](?:intcomma|length)\b|\b(?:number|count|total)\b")
AFTER_A_NUMBER = re.compile(r"{{ (\w+) }} ([a-z]{3,})\b")
NO_NOUN = {
    *("accepted", "ago", "and", "are", "checked", "completed", "distinct", "due", "failed", "for", "from", "missed"),
    *("more", "not", "of", "skipped", "that", "waiting", "with"),
}
"""Words that stay the same whatever number stands before them."""

NAMED_NUMBER = r"(?<!version )(?<!Line )%\((?:number|count|total|items|children|rows|workers|batches|events)\)s"
PLURAL = re.compile(NAMED_NUMBER + r" (?!(?:was|has|is)\b)[a-z]{2,}(?:s|children)\b")
"""A number and a plural. A `limit` is a constant, of which there is one form; "Line 3" is no number of lines."""

OWN_FORMAT = re.compile(r"%-?[aAbBpxXc]")
"""Parts of a date that are words, or an order of its parts."""

SHOWN = re.compile(
    r"\.(?:textContent|innerText|title|ariaLabel|placeholder|label)\s*[+]?=|setAttribute\(\"(?:aria-label|title)\""
)
QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|`((?:[^`\\]|\\.)*)`")
TRANSLATED = re.compile(r"\bn?gettext\((?:[^()]|\([^()]*\))*\)")
WORDS = re.compile(r"[A-Za-z]{3,}")


def plain_blocks(text: str) -> Iterator[str]:
    """Yield a number and the noun after it, of texts without a plural."""
    for block in BLOCK.finditer(text):
        if "{% plural %}" in block["text"]:
            continue
        given = dict(re.findall(r"(\w+)=(\S+)", block["options"]))
        for name, noun in AFTER_A_NUMBER.findall(block["text"]):
            if COUNTED.search(f"{name} {given.get(name, '')}") and noun not in NO_NOUN:
                yield f"{{{{ {name} }}}} {noun}"


def spoken(path: Path) -> Iterator[str]:
    """Yield the texts of a module that are translated without a plural."""
    for node in ast.walk(ast.parse(path.read_text())):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if is_call and node.func.id in ("_", "gettext", "gettext_lazy") and isinstance(node.args[0], ast.Constant):  # type: ignore[attr-defined]
            yield str(node.args[0].value)  # type: ignore[attr-defined]


def formats(path: Path) -> Iterator[str]:
    """Yield the formats of dates that a module spells out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
            yield ast.unparse(node.format_spec)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "strftime":
            yield ast.unparse(node.args[0])


def literals(line: str) -> list[str]:
    """Return the words of a line of a script that a person would see and nothing translates."""
    shown = SHOWN.search(line)
    if shown is None:
        return []
    said = TRANSLATED.sub("", line[shown.end() :])
    texts = (re.sub(r"\$\{[^}]*\}", "", one or other) for one, other in QUOTED.findall(said))
    return [text for text in texts if WORDS.search(text)]


def test_a_number_before_a_noun_has_plural_forms() -> None:
    assert [f"{path.name}: {found}" for path in TEMPLATES for found in plain_blocks(path.read_text())] == []
    assert [f"{path}: {text}" for path in CODE for text in spoken(path) if PLURAL.search(text)] == []


def test_dates_are_formatted_for_the_reader() -> None:
    own = re.compile(r"\|(?:date|time):\"(?!c\"|[A-Z_]+_FORMAT\")[^\"]*\"")
    assert [f"{path.name}: {found}" for path in TEMPLATES for found in own.findall(path.read_text())] == []
    assert [f"{path}: {found}" for path in CODE for found in formats(path) if OWN_FORMAT.search(found)] == []
    scripts = "\n".join(path.read_text() for path in SCRIPTS)
    assert re.findall(r"toLocale\w*\(\)|toUTCString|Intl\.\w+Format\(\s*\"\w+\"", scripts) == []


def test_scripts_and_sheets_have_no_words_of_their_own() -> None:
    lines = ((path, line) for path in SCRIPTS for line in path.read_text().splitlines())
    assert [f"{path.name}: {found}" for path, line in lines for found in literals(line)] == []
    written = ((path, found) for path in SHEETS for found in re.findall(r'content:\s*"([^"]*)"', path.read_text()))
    assert [f"{path.name}: {text}" for path, text in written if WORDS.search(text)] == []


def test_every_field_of_a_form_has_a_label_that_is_translated() -> None:
    unlabelled = [
        f"{path.name}: {ast.unparse(node)[:60]}"
        for path in CODE
        if "dashboard/forms" in str(path)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if re.match(r"forms\.\w+(Field|Choice)$", ast.unparse(node.value.func))
        if not any(each.arg == "label" for each in node.value.keywords) and "HiddenInput" not in ast.unparse(node)
    ]
    assert unlabelled == []


def test_the_scans_find_what_they_look_for() -> None:
    said = "{% blocktranslate with n=a|length %}{{ n }} rows{% endblocktranslate %}"
    assert list(plain_blocks(said)) == ["{{ n }} rows"]
    assert not list(
        plain_blocks("{% blocktranslate count n=2 %}{{ n }} a{% plural %}{{ n }} bees{% endblocktranslate %}")
    )
    assert PLURAL.search("Launch %(number)s items")
    assert OWN_FORMAT.search("%a %d %b")
    assert literals('button.textContent = "Launch it";') == ["Launch it"]
    assert literals('button.textContent = gettext("Launch it");') == []
