"""Context of the home page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.accounts.permissions import Person, may_operate, operators
from dashboard.actions.approval import may_approve
from dashboard.models import Need
from dashboard.queries.home import Home, HomeEntry, home_of

MOST_NAMED = 100
"""People that a batch can be assigned to, at most."""


@dataclass(frozen=True)
class HomeSection:
    """One list of the page: `address` is the batch list with all of it, if it has more than is shown."""

    name: str
    entries: Sequence[HomeEntry]
    has_more: bool = False


@dataclass(frozen=True)
class HomePage:
    """Context of the page. `people` are who a batch can be assigned to, `approvable` ids of batches to approve."""

    home: Home
    sections: Sequence[HomeSection]
    may_operate: bool
    people: Sequence[str]
    approvable: frozenset[str]

    @property
    def dismissible(self) -> Sequence[str]:
        """Ids of the batches that have finished with failures, which can be dismissed at once if there are several."""
        found = [each.batch.pk for each in self.home.attention if each.need is Need.FAILED]
        return found if self.may_operate and len(found) > 1 else []


def home_page(person: Person, since: datetime) -> HomePage:
    """Return the context of the home page, for a person whose last visit was at `since`."""
    home = home_of(since)
    acts = may_operate(person) and bool(home.attention)
    lists = (("attention", home.attention), ("running", home.running), ("ended", home.ended))
    waiting = [each.batch for each in home.attention if each.need is Need.APPROVAL]
    return HomePage(
        home=home,
        sections=[HomeSection(name, entries, name in home.has_more) for name, entries in lists],
        may_operate=may_operate(person),
        people=list(operators().values_list("username", flat=True)[:MOST_NAMED]) if acts else [],
        approvable=frozenset(batch.pk for batch in waiting if may_approve(person, batch)),
    )
