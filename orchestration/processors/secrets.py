"""Secrets: referred to by name, resolved only in the worker that uses them, and masked in all that leaves it."""

from __future__ import annotations

import logging
import os
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from orchestration.processors.config_names import CONFIG_NAME, SECRET_PREFIX, configured
from orchestration.processors.secret_scopes import (
    RESERVED,
    SecretNotAllowed,
    check_use,
    is_scope,
    secrets_that_may_go_anywhere,
)
from orchestration.processors.secret_spellings import MIN_LENGTH, encoded, shortest, spellings
from orchestration.telemetry import log_lines

log = logging.getLogger(__name__)

MASK = "•••"
OWN_VARIABLES = (
    *("TEMPORAL_API_KEY", "TEMPORAL_CODEC_AUTH", "TEMPORAL_GRPC_META_AUTHORIZATION"),
    *("CANOPY_TOKEN", "CANOPY_PAYLOAD_KEYS", "CANOPY_SECRET_KEY", "CANOPY_METRICS_TOKEN"),
)
"""Environment variables with secrets of a process itself."""

_revealed = set[str]()

__all__ = (
    "MASK",
    "SECRET_PREFIX",
    "MaskSecrets",
    "Secret",
    "SecretMissing",
    "SecretNotAllowed",
    "longest_spelling",
    "mask",
    "mask_logs",
    "register_own_secrets",
    "register_secret",
    "reveal",
    "value_of",
    "warn_of_secrets_without_scope",
)


class SecretMissing(LookupError):
    """A secret is not configured where the worker runs."""


class Secret:
    """A parameter that names a secret. Forms, batches and Temporal hold only the name; `reveal` returns the value."""

    def __init__(self, name: str) -> None:
        """Raise ValueError if `name` is no valid name, such as the value of a secret."""
        if name and not CONFIG_NAME.fullmatch(name):
            raise ValueError(
                "This is not a valid secret name: use a name such as CRM_TOKEN. Set its value as "
                f"{SECRET_PREFIX}CRM_TOKEN on the workers; it is stored nowhere else."
            )
        self.name = name

    def reveal(self) -> str:
        """Return the value; empty where no name is given. Raises SecretMissing, SecretNotAllowed."""
        return reveal(self.name) if self.name else ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __str__(self) -> str:
        return self.name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate a name or a Secret; serialise to the name."""
        name_schema = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        return core_schema.json_or_python_schema(
            json_schema=name_schema,
            python_schema=core_schema.no_info_plain_validator_function(cls._read),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def _read(cls, given: Any) -> Secret:
        if isinstance(given, cls):
            return given
        if not isinstance(given, str):
            raise ValueError("Enter the name of a secret.")
        return cls(given)


def reveal(name: str) -> str:
    """Return a secret's value and register it for masking. Raises SecretMissing, SecretNotAllowed."""
    check_use(name)
    return value_of(name)


def value_of(name: str) -> str:
    """Return a secret's value for whoever checks where it goes, and register it for masking. Raises SecretMissing."""
    if name in RESERVED:
        raise SecretMissing(f"{SECRET_PREFIX}{name} is the dashboard's own. Configure the secret under another name.")
    value = None if is_scope(name) else configured(SECRET_PREFIX, name)
    if value is None:
        raise SecretMissing(f"There is no secret {name}: {SECRET_PREFIX}{name} is not set on this worker.")
    register_secret(value)
    return value


def register_secret(value: str) -> None:
    """Mask a value from now on in results, errors, notes and logs of this process."""
    if len(value) >= MIN_LENGTH:
        _revealed.add(value)


def register_own_secrets() -> None:
    """Mask the worker's own keys and tokens as well, in whatever a processor or a library says."""
    for name in OWN_VARIABLES:
        for value in os.environ.get(name, "").split(","):
            register_secret(value.strip())


def mask(value: Any) -> Any:
    """Return text or JSON-able data with all registered secrets masked, however they are spelled."""
    if not _revealed:
        return value
    if isinstance(value, str):
        return _mask_text(value)
    if isinstance(value, list):
        return [mask(entry) for entry in value]
    if isinstance(value, dict):
        return {mask(name): mask(entry) for name, entry in value.items()}
    return MASK if isinstance(value, int | float) and str(value) in _revealed else value


def _mask_text(text: str) -> str:
    secrets = sorted((each for each in list(_revealed) if len(text) >= shortest(each)), key=len, reverse=True)
    for secret in secrets:
        for spelling in spellings(secret):
            text = text.replace(spelling, MASK)
    for secret in secrets:
        for core, pattern in encoded(secret):
            if core in text:
                text = pattern.sub(MASK, text)
    return text


def longest_spelling() -> int:
    """Return the characters of the longest text that is masked: what is cut must not begin within one."""
    return max((len(spelling) for secret in list(_revealed) for spelling in spellings(secret)), default=0)


def warn_of_secrets_without_scope() -> None:
    """Log which secrets may be sent anywhere by whoever may launch, and how to say where they may go."""
    if names := secrets_that_may_go_anywhere():
        first = f"{SECRET_PREFIX}{names[0]}"
        log.warning(
            "Whoever may launch can send these secrets anywhere: %s. Name where one may go, such as %s__HOSTS=….",
            ", ".join(names),
            first,
        )


class MaskSecrets(logging.Filter):
    """Masks secrets in log records, tracebacks included."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record, and let it pass."""
        if _revealed:
            record.msg, record.args = mask(record.getMessage()), None
            if record.exc_info and not record.exc_text:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_text = mask(record.exc_text) if record.exc_text else record.exc_text
        return True


def mask_logs() -> None:
    """Mask secrets in all lines of this process's log: what they say, and what they are about."""
    log_lines.mask_with(mask)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(each, MaskSecrets) for each in handler.filters):
            handler.addFilter(MaskSecrets())
