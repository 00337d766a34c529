"""Credentials in parameters: recognised by name and by look, refused when given, masked where they are stored."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from orchestration.processors.catalogue import get_processor, shown_parameters
from orchestration.processors.credentials import (
    credentials_in,
    is_named_like_credential,
    masked_credentials,
    without_credentials,
)
from orchestration.processors.secrets import Secret

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"
CREDENTIALS: list[dict[str, Any]] = [
    *({"headers": {name: "geheim"}} for name in ("Authorization", "X-API-Key", "api_key", "Cookie", "X-Auth-Token")),
    *({"headers": {name: "geheim"}} for name in ("Private-Token", "X-Vault-Token", "Ocp-Apim-Subscription-Key")),
    {"headers": {"X-Other": "Bearer geheim"}},
    {"headers": {"Accept": "text/html", "X-Other": "Basic dXNlcjpwYXNz"}},
    {"headers": {"X-Other": JWT}},
    {"url": "https://user:geheim@example.org/{id}"},
    {"url": "https://geheim@example.org/{id}"},
    {"url": "https://{user}:geheim@example.org/{id}"},
    {"url": "https://example.org/{id}?api_key=geheim&page=1"},
    {"url": "https://example.org/{id}?X-Amz-Signature=geheim"},
    {"url": "https://example.org/#access_token=geheim"},
    {"body": '{"user": "ann", "password": "geheim"}'},
    {"body": '{"p\\u0061ssword": "geheim"}'},
    {"body": '{"list": [{"clientSecret": "geheim"}], "url": "https://u:geheim@h/"}'},
]
HARMLESS: list[dict[str, Any]] = [
    {"url": "{url}", "headers": {"X-Request-Source": "canopy", "Accept": "application/json", "Token-Limit": "5"}},
    {"url": "https://example.org/{id}?q={key}&monkey=banana&page=2#part"},
    {"url": "https://{secret:USER}:{secret:PASSWORD}@example.org/?api_key={secret:KEY}"},
    {"headers": {"Authorization": "Bearer {secret:CRM}", "X-API-Key": "{token_of_the_item}"}},
    {"body": '{"password": "{secret:CRM}", "text": "the bearer of news: a basic token, 10 digest weekly"}'},
    {"url": "https://example.org/mail@example.org"},
]


@pytest.mark.parametrize("given", CREDENTIALS)
def test_a_credential_is_refused_when_it_is_given_with_the_way_to_do_it_right(given: dict[str, Any]) -> None:
    http = get_processor("http_request")
    (name,) = given
    with pytest.raises(ValidationError) as refused:
        http.accept_parameters(given)
    (error,) = refused.value.errors()
    assert error["loc"] == (name,)
    assert "{secret:" in error["msg"]
    assert "CANOPY_SECRET_" in error["msg"]


@pytest.mark.parametrize("given", CREDENTIALS)
def test_a_credential_that_is_stored_is_masked(given: dict[str, Any]) -> None:
    shown = shown_parameters("http_request", given)
    assert shown != given
    assert "geheim" not in str(shown)
    assert JWT not in str(shown)
    assert shown_parameters("gone", given) == shown
    assert credentials_in(get_processor("http_request").parameters_model, shown), "what was masked is no value"


def test_an_error_of_stored_parameters_does_not_quote_them() -> None:
    with pytest.raises(ValidationError, match="values entered here are stored with the batch") as refused:
        get_processor("http_request").bind({"headers": {"Authorization": "Bearer geheim"}, "timeout": "geheim"})
    assert "geheim" not in str(refused.value)
    assert [each["loc"] for each in refused.value.errors()] == [("headers",), ("timeout",)]


@pytest.mark.parametrize("given", HARMLESS)
def test_what_is_no_credential_is_neither_refused_nor_masked(given: dict[str, Any]) -> None:
    get_processor("http_request").accept_parameters(given)
    assert shown_parameters("http_request", given) == given


def test_names_of_secrets_and_of_columns_are_none() -> None:
    class Access(BaseModel):
        token: Secret = Secret("CRM_TOKEN")
        password: str = ""

    assert credentials_in(Access, {"token": "CRM_TOKEN", "password": ""}) == []
    assert credentials_in(Access, {"token": "CRM_TOKEN", "password": "geheim"}) == ["password"]
    imported = get_processor("csv_import").parameters_model
    assert credentials_in(imported, {"columns": {"password": "text, required"}, "key": "password"}) == []


def test_a_batch_that_has_one_stored_can_still_be_read_and_its_other_parameters_changed() -> None:
    http = get_processor("http_request")
    stored = {"headers": {"X-Token": "geheim"}, "timeout": 5}
    http.bind(stored)
    http.accept_parameters(stored | {"timeout": 6}, {"timeout"})


@pytest.mark.parametrize("name", ["X-API-Key", "apiKey", "dbPassword", "client_secret", "Set-Cookie", "PRIVATE-TOKEN"])
def test_a_name_is_recognised_however_it_is_written(name: str) -> None:
    assert is_named_like_credential(name)


@pytest.mark.parametrize(
    "name", ["key", "keys", "author", "monkey", "token_limit", "secretary", "passengers", "tokens"]
)
def test_a_name_that_only_resembles_one_is_not(name: str) -> None:
    assert not is_named_like_credential(name)


def test_arguments_of_a_program_are_masked() -> None:
    lines = "--user\nann\n--password=geheim\n--token\ngeheim\n--api-key geheim\n-H\nX-API-Key: geheim\n--\n{value}"
    shown = masked_credentials(None, {"arguments": lines})["arguments"]
    assert "geheim" not in shown
    assert shown.startswith("--user\nann\n--password=")


@pytest.mark.parametrize(
    "part",
    ["a", "://", "?a=", "a-", "Bearer ", "eyJa", "x:", '{"', "-----BEGIN ", "https://a:", "--a ", "a: ", "&-_", "\n"],
)
def test_looking_for_credentials_takes_linear_time(part: str) -> None:
    def seconds(size: int) -> float:
        text, started = part * (size // len(part)), time.thread_time()
        masked_credentials(None, {"x": text, "y": {"password": text}})
        without_credentials(text)
        return time.thread_time() - started

    assert seconds(100_000) < 20 * seconds(10_000) + 1.0
