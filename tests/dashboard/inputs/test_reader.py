"""Items: every way to give them, and every way to get them wrong."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from dashboard.inputs import survey as input_survey
from dashboard.inputs.reader import InputReader
from dashboard.inputs.source import ROW_NUMBER, Format, Source, list_source
from dashboard.inputs.survey import Survey, good_rows, survey
from orchestration.processors.catalogue import get_processor
from orchestration.processors.function_signature import ArgumentType
from orchestration.processors.processor import Processor


class Typed(BaseModel):
    """An item that has to be right."""

    id: int
    name: str


def typed() -> Processor:
    """Return a processor that validates its items."""
    simulate = get_processor("simulate")
    return replace(simulate, signature=replace(simulate.signature, item=ArgumentType(Typed)))


def source(content: str | bytes, kind: Format = Format.CSV, key: str = "") -> Source:
    """Return a source of text or bytes."""
    raw = content.encode() if isinstance(content, str) else content
    return Source(kind, lambda: io.BytesIO(raw), key=key)


def look(given_source: Source, processor: Processor | None = None, limit: int = 1_000) -> Survey:
    """Survey a source."""
    return survey(given_source, processor or get_processor("simulate"), limit=limit)


def test_the_processors_key_comes_before_the_first_column_and_after_the_chosen_one() -> None:
    keyed, text = replace(typed(), key="name"), "id,name\n1,Ann\n"
    assert [row.key for row in good_rows(source(text), keyed, set())] == ["Ann"]
    assert [row.key for row in good_rows(source(text, key="id"), keyed, set())] == ["1"]
    assert [row.key for row in good_rows(source("id,other\n1,Ann\n"), keyed, set())] == ["1"]
    assert [row.key for row in good_rows(source('{"id": 1, "name": "Ann"}', Format.JSONL), keyed, set())] == ["Ann"]


def test_lines_are_items_with_themselves_as_key() -> None:
    given_source = source("a\n\n  b \r\nc", Format.LINES)
    assert look(given_source).good == 3
    assert [(row.key, row.data) for row in good_rows(given_source, typed(), set())] == [
        (x, {"value": x}) for x in "abc"
    ]


def test_csv_columns_become_fields_and_one_is_the_key() -> None:
    text = 'id;name\n1;"a;\nb"\n2;c\n'
    found = look(source(text))
    assert (found.good, found.columns) == (2, ["id", "name"])
    assert [row.data for row in good_rows(source(text), typed(), set())] == [
        {"id": "1", "name": "a;\nb"},
        {"id": "2", "name": "c"},
    ]
    assert [row.key for row in good_rows(source(text, key="name"), typed(), set())] == ["a;\nb", "c"]
    assert [row.key for row in good_rows(source(text, key=ROW_NUMBER), typed(), set())] == ["1", "2"]


def test_json_lines_are_objects_or_values() -> None:
    text = '{"id": 7, "x": [1]}\n"plain"\n3\n'
    assert [row.data for row in good_rows(source(text, Format.JSONL), typed(), set())] == [
        {"id": 7, "x": [1]},
        {"value": "plain"},
        {"value": 3},
    ]
    assert next(good_rows(source(text, Format.JSONL), typed(), set())).key == "7"


def test_bad_rows_are_listed_with_their_lines_and_can_be_left_out() -> None:
    given_source = source("id,name\n1,a\n2\nx,b\n4,d,e\n5,e\n")
    found = look(given_source, typed())
    assert [(bad.line, bad.message.split(".")[0]) for bad in found.bad] == [
        (3, "1 cell, but the header has 2"),
        (4, "id: Input should be a valid integer, unable to parse string as an integer"),
        (5, "3 cells, but the header has 2"),
    ]
    assert [row.key for row in good_rows(given_source, typed(), found.bad_lines)] == ["1", "5"]


def test_a_row_after_a_cell_of_several_lines_keeps_its_line() -> None:
    found = look(source('id,name\n1,"a\nb\nc"\nx\n'))
    assert [bad.line for bad in found.bad] == [5]


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ("", Format.LINES, "There are no items."),
        ("\n \n", Format.CSV, "There are no items."),
        ("id,name\n", Format.CSV, "There are no items."),
        (b"\x89PNG\r\n\x1a\n\x00\x00", Format.LINES, "binary file"),
        ("id,\n1,2\n", Format.CSV, "Column 2 of the header has no name"),
        ("id,id\n1,2\n", Format.CSV, "twice"),
        ("a,b;c\nx,y;z\n", Format.CSV, "Cells could be separated by ',' or by ';': choose the delimiter."),
        ('id,"n\n1,a\n2,b\n', Format.CSV, "The quote that opens in line 1 is never closed. Lines 1 to 3 are one row."),
    ],
)
def test_input_that_cannot_be_read_says_why(content: str | bytes, kind: Format, message: str) -> None:
    assert message in look(source(content, kind)).error


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert look(source(b"\xef\xbb\xbfid\n1\n")).columns == ["id"]


def test_a_megabyte_in_one_cell_is_a_bad_row() -> None:
    found = look(source("id,name\n1," + "x" * 1_048_576 + "\n2,b\n"))
    assert found.good == 1
    assert "name: 1,048,576 characters exceed the limit of 65,536" in found.bad[0].message


def test_a_line_that_never_ends_is_refused() -> None:
    assert "longer than 4 MB" in look(source("x" * 5_000_000, Format.LINES)).error


def test_text_that_is_not_json_is_a_bad_row() -> None:
    found = look(source('{"id": 1}\n{oops\n', Format.JSONL))
    assert found.bad[0].line == 2
    assert "Invalid JSON" in found.bad[0].message


def test_an_empty_key_is_a_bad_row_and_an_unknown_column_an_error() -> None:
    assert look(source("id,name\n,a\n", key="id")).bad[0].message == "The key is empty."
    assert "no column 'nope'" in look(source("id\n1\n", key="nope")).error


@pytest.mark.parametrize("count", [0, -1, 1_001, 10_000_000])
def test_a_number_out_of_bounds_is_refused_without_counting_to_it(count: int) -> None:
    assert "between 1 and 1,000" in look(Source(Format.COUNT, count=count)).error


def test_more_items_than_allowed_are_refused() -> None:
    assert "Too many items: a batch may have at most 10." in look(source("a\n" * 11, Format.LINES), limit=10).error


def test_keys_that_occur_twice_are_counted() -> None:
    assert look(source("a\nb\na\n", Format.LINES)).duplicates == 1


def test_emoji_and_markup_in_keys_stay_what_they_are() -> None:
    text = "<script>alert(1)</script>\n😀\n"
    assert [row.key for row in good_rows(source(text, Format.LINES), typed(), set())] == text.split()


TEXTS = st.characters(exclude_categories=["Cs"], exclude_characters=["\0"])


@given(
    st.lists(
        st.dictionaries(st.text(TEXTS, min_size=1, max_size=5), st.integers() | st.text(TEXTS, max_size=20)),
        max_size=20,
    )
)
def test_a_list_of_the_api_comes_out_as_it_went_in(given_items: list[dict[str, object]]) -> None:
    found = [row.data for row in input_survey.good_rows(list_source(given_items, key=ROW_NUMBER), typed(), set())]
    assert found == given_items


def test_many_rows_are_surveyed_in_little_memory() -> None:
    class Endless(io.RawIOBase):
        """20,000 lines that nobody holds."""

        def __init__(self) -> None:
            self._lines: Iterable[bytes] = iter([b"id,name\n", *()])
            self._number = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            if self._number > 20_000:
                return 0
            line = b"id,name\n" if self._number == 0 else f"{self._number},name {self._number}\n".encode()
            self._number += 1
            memoryview(buffer)[: len(line)] = line  # type: ignore[arg-type]
            return len(line)

    def opened() -> BinaryIO:
        return io.BufferedReader(Endless(), 64 * 1024)

    tracemalloc.start()
    found = look(Source(Format.CSV, opened), limit=20_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.good == 20_000
    assert peak < 5 * 1024 * 1024, "only a hash of each key is kept"


RESUMABLE = {
    Format.LINES: "a\n\nb\r\nc\n d \ne",
    Format.CSV: '\ufeffid;name\n1;"a;\nb"\n\n2\n3;ä\n4;d\n',
    Format.JSONL: '{"id": 7, "x": [1]}\n\n"plain"\nnot json\n3\n',
    Format.COUNT: "",
}


@pytest.mark.parametrize("key", ["", ROW_NUMBER])
@pytest.mark.parametrize("kind", Format)
def test_reading_goes_on_where_another_one_stopped(kind: Format, key: str) -> None:
    whole = replace(source(RESUMABLE[kind], kind, key=key), count=5)
    expected = list(InputReader(whole, typed()))
    assert len(expected) >= 4
    for stop in range(len(expected)):
        first = InputReader(whole, typed())
        begun = list(islice(first, stop))
        assert begun + list(InputReader(replace(whole, start=first.position), typed())) == expected
