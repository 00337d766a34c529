"""JSON Lines: what is no JSON by its standard, or cannot be kept, is a bad row with its line."""

from __future__ import annotations

import io

import pytest

from dashboard.inputs.reader import InputReader
from dashboard.inputs.rows import BadRow, InputRow
from dashboard.inputs.source import Format, Source, list_source
from dashboard.inputs.strict_json import DEPTH_LIMIT, InvalidJson, read_json, read_lenient
from orchestration.processors.catalogue import get_processor


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[" * 100_000 + "]" * 100_000, "Nested too deeply: at most 100 levels are allowed."),
        ('{"id":1,"v":' + "[" * 100 + "]" * 100 + "}", "Nested too deeply: at most 100 levels are allowed."),
        ('{"id":null,"v":1}', "The key is empty."),
        ('{"id":"a","v":NaN}', "NaN is not a JSON number."),
        ('{"id":"a","v":-Infinity}', "-Infinity is not a JSON number."),
        ('{"id":"b","v":1e999}', "The number 1e999 is too large."),
        ('{"id":"c","id":"d"}', "The name 'id' occurs twice in one object."),
        ('{"id":"c","v":[{"x":1,"x":2}]}', "The name 'x' occurs twice in one object."),
        ('{"id":"\\ud83dx"}', "A text contains half of a character (a lone surrogate, \\ud83d)."),
        ('{"id":1,"\\udc00":1}', "A text contains half of a character (a lone surrogate, \\udc00)."),
        ('{"id":"a\\u0000"}', "A text contains the character NUL."),
        ('{"id":1,"v":["\\u0000"]}', "A text contains the character NUL."),
        ('{"id":1,"\\u0000":1}', "A text contains the character NUL."),
        ('[{"id":1},{"id":2}]', "This is a JSON array. Put one object on each line, without the array."),
        ("[", "This is a JSON array. Put one object on each line, without the array."),
        ('{"id":' + "9" * 5_000 + "}", "A number is too large: at most 4,300 digits are allowed."),
        ('{"id":-1e-400}', "The number -1e-400 is too small."),
    ],
)
def test_a_line_that_is_no_item_is_a_bad_row(line: str, reason: str) -> None:
    content = f'{{"id":"ok"}}\n{line}\n'.encode()
    good, bad = InputReader(Source(Format.JSONL, lambda: io.BytesIO(content)), get_processor("simulate"))
    assert good[1] == InputRow("ok", {"id": "ok"})
    assert isinstance(bad[1], BadRow)
    assert (bad[0], bad[1].line) == (2, 2)
    assert bad[1].message.startswith(reason)


def test_what_is_unusual_but_valid_is_kept() -> None:
    levels = '{"v":' + "[" * (DEPTH_LIMIT - 1) + "]" * (DEPTH_LIMIT - 1) + "}"
    for text in (
        '"\\\\u0000"',
        '"\\ud83d\\ude00"',
        '"\\\\ud83d"',
        str(2**70),
        "1e308",
        "0e-400",
        "5e-324",
        '{"a":{"a":1}}',
        '{"":1}',
        levels,
    ):
        read_json(text)
    with pytest.raises(InvalidJson):
        read_lenient(b"\xff")


def test_a_key_that_is_missing_is_the_number_of_the_row_and_looks_like_it() -> None:
    rows = [row for _, row in InputReader(list_source([{"id": 7}, {"v": 1}, "plain", True]), get_processor("simulate"))]
    assert [row.key for row in rows if isinstance(row, InputRow)] == ["7", "#2", "plain", "true"]


def test_items_of_the_api_are_checked_alike() -> None:
    given = [{"id": "a"}, {"id": "\ud83d"}, {"id": "b", "v": float("nan")}, {"id": "c" * 201}, [{"id": "d"}]]
    rows = [row for _, row in InputReader(list_source(given), get_processor("simulate"))]
    assert [isinstance(row, BadRow) for row in rows] == [False, True, True, True, True]
