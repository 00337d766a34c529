from __future__ import annotations

import pytest

from dashboard.server.paging import page_of


@pytest.mark.parametrize(("number", "shown"), [(0, [1, 2]), (1, [1, 2]), (3, [5]), (99, [5])])
def test_a_page_beyond_the_rows_is_the_first_or_the_last_one(number: int, shown: list[int]) -> None:
    assert list(page_of([1, 2, 3, 4, 5], number, 2)) == shown


def test_rows_that_are_counted_already_are_not_counted_again() -> None:
    page = page_of([1, 2, 3], 2, 2, total=40)
    assert (page.paginator.num_pages, page.start_index(), page.end_index()) == (20, 3, 4)
