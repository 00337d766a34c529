"""What is remembered of keys that others choose has a bound."""

from __future__ import annotations

from dashboard.server.recently_used import RecentlyUsed


def test_what_was_set_the_longest_ago_is_forgotten_first_however_it_was_set() -> None:
    known = RecentlyUsed[str, int](3)
    known["a"] = 1
    known.update({"b": 2, "c": 3})
    known["a"] = known["a"]
    known.update({"d": 4})
    assert list(known.items()) == [("c", 3), ("a", 1), ("d", 4)]
