"""Secrets: referred to by name in parameters and templates, masked in results, errors, notes and logs."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from dashboard.forms.pydantic_forms import form_of
from orchestration.errors.texts import visible
from orchestration.processors import registry, secrets
from orchestration.processors.catalogue import get_processor, load, processor_of
from orchestration.processors.config_names import configured
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.processors.secret_scopes import SecretNotAllowed, check_use
from orchestration.processors.secrets import (
    MASK,
    MaskSecrets,
    Secret,
    SecretMissing,
    mask,
    warn_of_secrets_without_scope,
)
from orchestration.processors.templating import fill_json, fill_text, fill_url, secrets_in_json
from orchestration.testing import run_items

VALUE = "s3cr3t/of the crm"


@pytest.fixture(autouse=True)
def a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    monkeypatch.setattr(registry, "_processors", dict(registry._processors))
    monkeypatch.setattr(secrets, "_revealed", set())
    monkeypatch.setenv("CANOPY_SECRET_CRM_TOKEN", VALUE)


@dataclass
class Access:
    """Parameters with a secret."""

    token: Secret = field(default_factory=lambda: Secret("CRM_TOKEN"))


def leaky() -> Any:
    """Return a processor that leaks its secret wherever it can."""

    @processor
    async def leak(text: str, access: Access, context: ItemContext) -> dict[str, Any]:
        """Leak the secret."""
        value = access.token.reveal()
        context.report(f"with {value}")
        if text == "fail":
            raise PermissionError(f"{value} is not let in")
        return {"token": value, "nested": [{value: f"Bearer {value}"}], "number": 1}

    return leak


def test_a_secret_is_masked_in_results_errors_and_stacks() -> None:
    leaked, failed = run_items(leaky(), [{"value": "leak"}, {"value": "fail"}], item_attempts=1)
    assert leaked.result == {"token": MASK, "nested": [{MASK: f"Bearer {MASK}"}], "number": 1}
    assert (failed.error_type, failed.error) == ("PermissionError", f"{MASK} is not let in")


def test_a_secret_is_masked_in_logs_and_tracebacks() -> None:
    assert Secret("CRM_TOKEN").reveal() == VALUE
    try:
        raise ValueError(VALUE)
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "no %s", (VALUE,), (ValueError, error, None))
    MaskSecrets().filter(record)
    assert VALUE not in logging.Formatter().format(record)
    assert f"no {MASK}" in logging.Formatter().format(record)


def test_a_secret_that_was_not_revealed_is_not_masked() -> None:
    assert mask(f"a {VALUE}") == f"a {VALUE}"


def test_parameters_hold_only_the_name() -> None:
    model = processor_of(leaky()).parameters_model
    given = model.model_validate({"token": "CRM_TOKEN"})
    assert given.model_dump(mode="json") == {"token": "CRM_TOKEN"}
    assert TypeAdapter(model).dump_json(given) == b'{"token":"CRM_TOKEN"}'
    assert "string" in str(model.model_json_schema())
    with pytest.raises(ValidationError, match="This is not a valid secret name") as refused:
        model.model_validate({"token": VALUE})
    assert "CANOPY_SECRET_CRM_TOKEN" in str(refused.value)


def test_a_form_asks_for_the_name_and_rejects_the_secret_itself() -> None:
    form_class = form_of(processor_of(leaky()).parameters_model)
    assert "CANOPY_SECRET_NAME" in form_class.base_fields["token"].help_text
    assert form_class({"token": "CRM_TOKEN"}).is_valid()
    wrong = form_class({"token": VALUE})
    assert "This is not a valid secret name" in wrong.errors["token"][0]


def test_a_missing_secret_fails_the_item_without_a_retry_and_names_its_variable() -> None:
    missing = {"token": "OTHER"}
    (outcome,) = run_items(leaky(), [{"value": "x"}], missing, item_attempts=1)
    assert outcome.error == "There is no secret OTHER: CANOPY_SECRET_OTHER is not set on this worker."
    http = get_processor("http_request")
    url = "http://127.0.0.1:1/{secret:OTHER}"
    (outcome,) = run_items(http.function, [{"url": "x"}], {"url": url}, item_attempts=3)
    assert (outcome.error_type, outcome.attempts) == ("SecretMissing", 1)


def test_templates_insert_secrets_but_items_cannot_refer_to_them() -> None:
    item = {"id": "{secret:CRM_TOKEN}"}
    assert fill_text("Bearer {secret:CRM_TOKEN}", {}) == f"Bearer {VALUE}"
    assert fill_url("https://x/{secret:CRM_TOKEN}", {}) == "https://x/s3cr3t%2Fof%20the%20crm"
    assert fill_json({"t": "{secret:CRM_TOKEN}"}, {}) == {"t": VALUE}
    assert fill_text("{id}", item) == "{secret:CRM_TOKEN}"


@pytest.mark.parametrize("name", ["KEY", "KEY_FALLBACKS"])
def test_the_key_of_the_dashboard_is_no_secret_that_a_batch_may_use(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CANOPY_SECRET_{name}", "signs-sessions")
    with pytest.raises(SecretMissing, match="the dashboard's own"):
        Secret(name).reveal()


AWKWARD = "a'b\"c\\d/ü&<>\t+=x?"


@pytest.mark.parametrize(
    "value", [VALUE, AWKWARD, "pass", "x" * 3 + "~" * 20, "line one of it\nline two of it\n\nthird"]
)
def test_a_secret_is_masked_however_it_is_spelled(value: str) -> None:
    secrets.register_secret(value)
    both_quotes = f"'\"{value}\"'"
    spelled = {
        "plain": value,
        "percent-encoded": f"https://h/{quote(value, safe='')}/{quote(value)}?q={quote_plus(value)}",
        "percent-encoded in small letters": re.sub("%..", lambda found: found[0].lower(), quote(value, safe="")),
        "by the HTTP client": str(httpx.URL("https://h", params={"a": value})),
        "repr": f"{value!r} {[value]} {value.encode()!r} {both_quotes!r}",
        "JSON": f"{json.dumps([value])} {json.dumps({value: 1}, ensure_ascii=False)} {json.dumps(json.dumps([value]))}",
        "HTML": html.escape(value),
        "hexadecimal": value.encode().hex(),
        "made visible": visible(value),
    }
    for how, text in spelled.items():
        shown = mask(text)
        assert MASK in shown, how
        assert value not in shown, how
        for piece in re.findall(r"\w{4,}", value):
            assert piece not in shown, how
    assert mask({"a": [value]}) == {"a": [MASK]}


@pytest.mark.parametrize("value", [VALUE, AWKWARD, "pass", "123456"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
def test_a_secret_is_masked_in_base64_wherever_it_begins(
    value: str, before: str, encode: Callable[[bytes], bytes]
) -> None:
    secrets.register_secret(value)
    for after in ("", "\n", "tail", ":x"):
        text = f"Authorization: Basic {encode(f'{before}{value}{after}'.encode()).decode()}, and more"
        shown = mask(text)
        assert MASK in shown
        assert shown.startswith("Authorization: Basic ")
        assert shown.endswith(", and more")
        left = re.sub(r"[^A-Za-z0-9+/_-]", "", shown.removeprefix("Authorization: Basic ").removesuffix(", and more"))
        assert len(left) <= len(before) * 8 // 6 + ceil(len(after) * 8 / 6), "no character holds a bit of the value"


def test_a_number_that_is_a_secret_is_masked() -> None:
    secrets.register_secret("123456")
    assert mask({"pin": 123456, "other": 12345}) == {"pin": MASK, "other": 12345}


def test_the_end_of_a_line_after_a_value_is_not_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_SECRET_CRM_TOKEN", f"{VALUE}\r\n")
    assert Secret("CRM_TOKEN").reveal() == VALUE
    assert mask(f"Illegal header value b'Bearer {VALUE}'") == f"Illegal header value b'Bearer {MASK}'"
    monkeypatch.setenv("CANOPY_CONNECTION_SHOP", "sqlite:////shop\n")
    monkeypatch.setenv("CANOPY_FILES_ARCHIVE", "/srv\n")
    assert configured("CANOPY_CONNECTION_", "SHOP") == "sqlite:////shop"
    assert configured("CANOPY_FILES_", "ARCHIVE") == "/srv"


def test_secrets_are_found_in_json_that_spells_them_with_escapes() -> None:
    body = '{"a": ["\\u007bsecret:CRM_TOKEN\\u007d"], "{s\\u0065cret:OTHER}": 1}'
    assert secrets_in_json(body) == {"CRM_TOKEN", "OTHER"}
    workflow = get_processor("workflow")
    for argument in ('{"a": "{secret:CRM_TOKEN}"}', '{"a": "\\u007bsecret:CRM_TOKEN}"}', '{"{secr\\u0065t:A}": 1}'):
        with pytest.raises(ValidationError, match="would be stored in Temporal's history"):
            workflow.bind({"workflow_type": "a", "task_queue": "b", "argument": argument})


# Where a secret may go


def test_a_secret_without_a_scope_may_go_anywhere_and_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CANOPY_SECRET_CRM__HOSTS", "crm.example.org")
    monkeypatch.setenv("CANOPY_SECRET_CRM", "abracadabra")
    (leaked,) = run_items(leaky(), [{"value": "leak"}], item_attempts=1)
    assert leaked.error == ""
    warn_of_secrets_without_scope()
    assert "CRM_TOKEN" in caplog.text
    assert "CANOPY_SECRET_CRM_TOKEN__HOSTS" in caplog.text
    assert "CRM," not in caplog.text
    assert "HOSTS_" not in caplog.text


def test_a_processor_reveals_a_secret_only_if_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_SECRET_CRM_TOKEN__PROCESSORS", "leak, other\n")
    (allowed,) = run_items(leaky(), [{"value": "leak"}], item_attempts=1)
    assert allowed.result["token"] == MASK

    @processor
    def plain(text: str, access: Access) -> str:
        """Reveal in a thread."""
        return access.token.reveal()

    for scope in ("leak", ""):
        monkeypatch.setenv("CANOPY_SECRET_CRM_TOKEN__PROCESSORS", scope)
        (refused,) = run_items(plain, [{"value": "leak"}], item_attempts=3)
        assert (refused.error_type, refused.attempts) == ("SecretNotAllowed", 1)
        assert "may not go to the processor plain" in refused.error
        assert "CANOPY_SECRET_CRM_TOKEN__PROCESSORS" in refused.error
    monkeypatch.delenv("CANOPY_SECRET_CRM_TOKEN__PROCESSORS")
    monkeypatch.setenv("CANOPY_SECRET_CRM_TOKEN__HOSTS", "crm.example.org")
    (elsewhere,) = run_items(plain, [{"value": "leak"}], item_attempts=1)
    assert elsewhere.error_type == "SecretNotAllowed", "what it does with the value is not known"
    with pytest.raises(SecretNotAllowed):
        Secret("CRM_TOKEN").reveal()


@pytest.mark.parametrize(
    ("hosts", "host", "may"),
    [
        *(("crm.example.org", "crm.example.org", True), ("crm.example.org", "CRM.example.org:8443", True)),
        *(("crm.example.org", "evil-crm.example.org", False), ("crm.example.org", "crm.example.org.evil.org", False)),
        *(("crm.example.org:8443", "crm.example.org:8443", True), ("crm.example.org:8443", "crm.example.org", False)),
        *(("*.example.org", "a.b.example.org", True), ("*.example.org", "example.org", False)),
        *(("a, b", "b", True), ("", "a", False), ("[::1]", "[::1]:80", True)),
    ],
)
def test_a_secret_goes_to_the_hosts_named(monkeypatch: pytest.MonkeyPatch, hosts: str, host: str, may: bool) -> None:
    monkeypatch.setenv("CANOPY_SECRET_CRM_TOKEN__HOSTS", hosts)
    if may:
        check_use("CRM_TOKEN", host=host)
    else:
        with pytest.raises(SecretNotAllowed, match="may not go to the host"):
            check_use("CRM_TOKEN", host=host)
    with pytest.raises(SecretNotAllowed, match="may not go to the program"):
        check_use("CRM_TOKEN", program="mine")


def test_a_scope_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_SECRET_CRM_TOKEN__HOSTS", "crm.example.org")
    with pytest.raises(secrets.SecretMissing):
        fill_text("{secret:CRM_TOKEN__HOSTS}", {})
