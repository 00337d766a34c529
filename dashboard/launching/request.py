"""A launch request: what is to be launched, validated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from dashboard.inputs.rows import InputRow
from dashboard.models import Batch
from orchestration.plan.plan import Plan


@dataclass(frozen=True)
class LaunchRequest:
    """What a person wants launched; everything in it has been validated.

    `rows` returns a new iterator over exactly `count` rows at each call. `digest` identifies their content, for
    idempotency. An input that is read while the batch runs has a `count` of 0. `source` is where the items come from,
    stored on the batch (see models.Batch). With `definition` (the id of a saved version) the root is a flow, and
    `processor` its kind.
    """

    processor: str
    parameters: dict[str, Any]
    plan: Plan
    count: int
    rows: Callable[[], Iterator[InputRow]]
    digest: str
    label: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    via: str = "form"
    definition: int | None = None
    schedule: str | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of everything in which two equal launches agree."""
        content = [
            self.processor,
            self.parameters,
            self.plan.model_dump(mode="json"),
            self.count,
            self.digest,
            self.label,
            *([self.definition] if self.definition is not None else []),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True, cls=DjangoJSONEncoder).encode()).hexdigest()


@dataclass(frozen=True)
class Launched:
    """The batch, and whether this request created it; otherwise an earlier one did."""

    batch: Batch
    created: bool


class IdempotencyConflict(Exception):
    """The same idempotency key was used before, for a launch with other content."""
