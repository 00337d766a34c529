"""Recurrences: to cron, back from a timing of Temporal, and in words."""

from __future__ import annotations

from datetime import time, timedelta

import pytest

from dashboard.schedules.recurrence import Recurrence, Repeat, timing_in_words
from orchestration.client.schedule_models import Timing


@pytest.mark.parametrize(
    ("recurrence", "cron", "words"),
    [
        (Recurrence(Repeat.HOURLY, minute=5), "5 * * * *", "every hour at :05"),
        (Recurrence(Repeat.DAILY, at=time(23, 30)), "30 23 * * *", "every day at 23:30 Europe/Berlin"),
        (Recurrence(Repeat.WEEKDAYS, at=time(7)), "0 7 * * 1-5", "every weekday at 07:00 Europe/Berlin"),
        (Recurrence(Repeat.WEEKLY, days=(3, 1)), "0 7 * * 1,3", "every Monday, Wednesday at 07:00 Europe/Berlin"),
        (Recurrence(Repeat.CRON, cron="0 7 1 * *"), "0 7 1 * *", "cron 0 7 1 * * Europe/Berlin"),
    ],
)
def test_recurrences_become_cron_expressions_and_back(recurrence: Recurrence, cron: str, words: str) -> None:
    timing = recurrence.timing("Europe/Berlin")
    assert timing == Timing(cron=cron, time_zone="Europe/Berlin")
    assert Recurrence.of(timing).repeat is recurrence.repeat
    assert Recurrence.of(timing).timing("Europe/Berlin") == timing
    assert timing_in_words(timing) == words


@pytest.mark.parametrize("cron", ["0 7 * * 9", "99 7 * * *", "0 7 * * 1-", "0 7 * * ,", "*/5 * * * *", "@daily", ""])
def test_any_other_expression_stays_cron(cron: str) -> None:
    assert Recurrence.of(Timing(cron=cron)).repeat is Repeat.CRON
    assert Recurrence.of(Timing(cron=cron)).cron == cron


@pytest.mark.parametrize(
    ("every", "words"),
    [
        (timedelta(seconds=1), "every second"),
        (timedelta(minutes=90), "every 90 minutes"),
        (timedelta(days=2), "every 2 days"),
        (timedelta(seconds=1.5), "every 1.5 seconds"),
    ],
)
def test_intervals_in_words(every: timedelta, words: str) -> None:
    assert timing_in_words(Timing(every=every)) == words
    assert Recurrence.of(Timing(every=every)).timing("UTC") == Timing(every=every)


def test_days_in_ranges_are_recognised() -> None:
    assert timing_in_words(Timing(cron="0 7 * * 0,5-6")) == "every Sunday, Friday, Saturday at 07:00 UTC"
