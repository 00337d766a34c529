"""What is wrong with a request by field: as many reasons as somebody reads."""

from __future__ import annotations

from dashboard.errors import MOST_REASONS, reasons_by_field


def test_the_first_reasons_are_given_by_path() -> None:
    problems = [{"loc": ("plan", "window"), "msg": "Value error, Too small."}, {"loc": (), "msg": "Odd."}]
    assert reasons_by_field(problems, below="body") == {"body.plan.window": ["Too small."], "body": ["Odd."]}
    many = ({"loc": (f"k{number}",), "msg": "Not allowed."} for number in range(1_000_000))
    assert len(reasons_by_field(many)) == MOST_REASONS
    assert next(many)["loc"] == (f"k{MOST_REASONS}",)
