"""The text of a definition as viewers see it: no credential, however YAML spells it, and nothing else changed."""

from __future__ import annotations

import time

import pytest

from orchestration.definitions.shown_text import text_without_credentials
from orchestration.processors.secrets import MASK

SPELLINGS = [
    "password: geheim",
    'password: "geheim"',
    "password: |\n  geheim\n  geheim-2",
    "password: >-\n  geheim\n\n  geheim-2",
    "password: |2+ # a comment\n    geheim\n",
    "password: &shared |\n  geheim",
    "password: &shared geheim",
    "other: &shared geheim\npassword: *shared",
    "password:\n  geheim",
    "password:\n  geheim\n  geheim-2",
    'password: "geheim\n  geheim-2"',
    "password: 'it''s geheim'",
    "password: [geheim, geheim-2]",
    "password:\n  - geheim\n  - |\n    geheim-2",
    "password:\n- geheim",
    "? password\n: geheim",
    "? password\n: |\n  geheim",
    "- {name: größe, password: geheim}",
    '- {"password":"geheim"}',
    "- password: |-\n    geheim",
    '"p\\u0061ssword": geheim',
    "arguments: |\n  --user\n  ann\n  --token\n  geheim\n",
    "headers: |\n  Accept: text/html\n  X-API-Key: geheim\n",
    "url: https://ann:geheim@example.org/",
    "ü: \U0001f525\npassword: |\r\n  geheim\r\n",
    "no: [yaml\npassword: geheim",
]
"""How a credential may be written into a definition, between its other lines."""


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_credential_is_masked_however_it_is_spelled(spelling: str) -> None:
    around = [("first: 1\n", "\nlast: größer\n"), ("deep:\n  - 1\nfirst: ü\n", "\nlast: x\n")]
    in_a_list = [("- 1\n", "\n- größer\n"), ("- deep:\n  - 1\n- ü\n", "\n- x\n")]
    for before, after in (("", ""), *(in_a_list if spelling.startswith("- ") else around)):
        shown = text_without_credentials(before + spelling + after)
        assert "geheim" not in shown, shown
        assert MASK in shown
        assert shown.startswith(before)
        assert shown.count("\n") == (before + spelling + after).count("\n"), "errors name lines"
        if "[yaml" not in spelling:
            assert shown.endswith(after.lstrip("\n")), shown


def test_what_is_no_credential_stays_as_it_is() -> None:
    text = (
        "headers:\n  X-API-Key: '{secret:CRM}'\n  Accept: text/html # plain\n"
        "body: |\n  Dear Ann,\n  the password is not in here.\nkey: password\npassword:\ntoken: ''\n"
    )
    assert text_without_credentials(text) == text


@pytest.mark.parametrize(
    "part", ["a", "[", "{", "- ", "? ", "a: ", "&a ", "*a ", "a: |\n ", "password: >\n", "'", '"', "\n", "!a "]
)
def test_looking_for_them_takes_linear_time(part: str) -> None:
    def seconds(size: int) -> float:
        text, started = part * (size // len(part)), time.thread_time()
        text_without_credentials(text)
        return time.thread_time() - started

    assert seconds(100_000) < 20 * seconds(10_000) + 1.0
