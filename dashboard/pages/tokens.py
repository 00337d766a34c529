"""Context of the page of API tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.forms.tokens import TokenForm
from dashboard.models import ApiToken


@dataclass(frozen=True)
class TokensPage:
    """The tokens that a person may see, and the text of one that was just created."""

    tokens: Sequence[ApiToken]
    form: TokenForm
    created: ApiToken | None = None
    text: str = ""
