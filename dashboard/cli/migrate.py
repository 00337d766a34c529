"""canopy migrate: the database's tables as this release needs them."""

from __future__ import annotations

from dashboard.cli.django_setup import call
from dashboard.cli.examples import examples

EXAMPLES = examples(("before the first start, and after each upgrade", "canopy migrate"))


def migrate() -> None:
    """Create or upgrade the database's tables.

    It does nothing where they are as this release needs them.
    """
    call("migrate")
