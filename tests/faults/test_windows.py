"""Windows: what completed in each kind of them."""

from __future__ import annotations

from tests.faults.windows import SECONDS, Kind, Window, lengths, rates, standstills


def test_rates_are_those_of_all_windows_of_a_kind() -> None:
    windows = [Window(Kind.QUIET, 0, 10), Window(Kind.FAULTS, 10, 30), Window(Kind.QUIET, 40, 50)]
    completed = [*range(10), *range(10, 30, 2), *range(30, 40), *range(40, 50)]
    assert rates(windows, completed) == {Kind.QUIET: 1.0, Kind.TAME: 0.0, Kind.FAULTS: 0.5}


def test_a_standstill_lasts_from_an_end_to_what_completes_next() -> None:
    assert standstills([3.0, 7.5, 9.0], [1.0, 5.0, 8.0]) == [2.0, 0.5]


def test_a_short_run_has_each_kind_twice() -> None:
    assert lengths(3_600) == SECONDS
    assert sum(lengths(180).values()) == 90
