"""Secrets: referred to by name in parameters and templates, masked in results, errors, notes and logs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from dashboard.forms.pydantic_forms import form_of
from orchestration.processors import registry, secrets
from orchestration.processors.catalogue import get_processor, load, processor_of
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.processors.secrets import MASK, MaskSecrets, Secret, SecretMissing, mask
from orchestration.processors.templating import fill_json, fill_text, fill_url
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
