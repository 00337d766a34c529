"""CSV as spreadsheets and people write it: nothing is lost or merged without a word."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from dashboard.inputs.dialect import NO_QUOTES, Dialect
from dashboard.inputs.reader import InputReader
from dashboard.inputs.rows import BadRow, InputRow
from dashboard.inputs.source import ROW_NUMBER, Format, Source, SourceError
from orchestration.processors.catalogue import get_processor

Read = tuple[list[dict[str, object]], list[tuple[int, str]]]


def source(content: str | bytes, kind: Format = Format.CSV, **chosen: Any) -> Source:
    raw = content.encode() if isinstance(content, str) else content
    return Source(kind, lambda: io.BytesIO(raw), dialect=Dialect(**chosen))


def read(given: Source) -> Read:
    """Return the data of good rows, and the bad rows."""
    rows = list(InputReader(given, get_processor("simulate")))
    good = [dict(row.data) for _, row in rows if isinstance(row, InputRow)]
    return good, [(row.line, row.message) for _, row in rows if isinstance(row, BadRow)]


TWO = [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]
TABLE = "id;name\r\n1;Müller\r\n2;Größe\r\n"


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('"name, first";"age"\nx;3\n', [{"name, first": "x", "age": "3"}]),
        ("id,name\r1,a\r2,b\r", TWO),
        ("id,name\r1,a\n2,b\r\n", TWO),
        ("sep=;\r\nid;name;\r\n1;a;\r\n2;b\r\n", TWO),
        ('"sep=|"\nid|name\n1|a\n2|b\n', TWO),
        ("SEP=;;\nid;name\n1;a\n2;b\n", TWO),
        ("sep=x\n1\n", [{"sep=x": "1"}]),
        ('id, name\n1, "a"\n2, b\n', TWO),
        ('a,b\n1,"x, ""y"""\n2, z\n', [{"a": "1", "b": 'x, "y"'}, {"a": "2", "b": " z"}]),
        ('a, b\n"x", y "z"\n', [{"a": "x", "b": ' y "z"'}]),
        ("id,name\r\r\n1,a\r\r\n2,b\r\r\n", TWO),
        ("v\r\r\n1\r\r\n2\r\r\n", [{"v": "1"}, {"v": "2"}]),
        ('id,name\r\r\n1,"a\r\r\nb"\r\r\n', [{"id": "1", "name": "a\r\r\nb"}]),
        ("v\n1\n\n\n", [{"v": "1"}]),
        ("\n  \nid,name\n\n1,a\n   \n2,b\n", TWO),
        ("price;n\n1,5;2\n", [{"price": "1,5", "n": "2"}]),
        ("a,b;c\n1,2;3\n", [{"a,b": "1,2", "c": "3"}]),
        ("name (a;b),age\nx,1\n", [{"name (a;b)": "x", "age": "1"}]),
        ("\ufeffid,name\n1,a\n\ufeff2,b\n", TWO),
        ('id,name\n1,"a\rb\r\nc"\n', [{"id": "1", "name": "a\rb\r\nc"}]),
    ],
)
def test_a_csv_is_read_as_its_writer_meant_it(content: str, rows: list[dict[str, str]]) -> None:
    assert read(source(content)) == (rows, [])


NEVER_CLOSED = "The quote that opens in line 2 is never closed. Lines 2 to 4 are one row."
TEXT_BEHIND = "The quote that opens in line 4 closes in line 5 with text behind it. Lines 4 to 5 are one row."
OTHER_FILE = "Another file begins within this row: a line end is missing between two joined files."


@pytest.mark.parametrize(
    ("content", "good", "bad"),
    [
        ('id,name\n1,"x\n2,y\n3,z\n', 0, [(2, NEVER_CLOSED)]),
        ('id,n\n1,"a\nb"\n2,"x\n3,"y"\n4,z\n', 2, [(4, TEXT_BEHIND)]),
        ('id,n\n1,"5" pipe\n2,x\n', 1, [(2, "The quote that opens in line 2 closes in line 2 with text behind it.")]),
        ('v\n""\n1\n', 1, [(2, "The key is empty.")]),
        ("v\n\n1\n\n\n2\n\n", 2, [(line, "The key is empty.") for line in (2, 4, 5)]),
        ("a,b\n,\n1,2\n", 1, [(2, "The key is empty.")]),
        ("id,name\n1,a\nid,name\n2,b\n", 2, [(3, "This row repeats the header: another file begins here.")]),
        ("\ufeffid\n1\n\ufeffid\n2\n", 2, [(3, "This row repeats the header: another file begins here.")]),
        ("\ufeffid\n1\ufeffid\n2\n", 1, [(2, OTHER_FILE)]),
        ("\ufeffid,n\n1,a\ufeffid,n\n2,b\n", 1, [(2, OTHER_FILE)]),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(content: str, good: int, bad: list[tuple[int, str]]) -> None:
    rows, found = read(source(content))
    assert (len(rows), found) == (good, bad)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "cp1252", "latin-1"],
)
def test_an_encoding_is_detected(encoding: str) -> None:
    rows, bad = read(source(TABLE.encode(encoding)))
    assert ([row["name"] for row in rows], bad) == (["Müller", "Größe"], [])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("имя;возраст\nИван;3\nМария;4\n", "cp1251"),
        ("名前;年齢\n太郎;3\n花子は元気です;4\n", "cp932"),
        ("Łódź;n\nżółć;1\nKraków źdźbło;2\n", "cp1250"),
        ("Größe;Straße\rMüller;“ja”\r", "mac_roman"),
        *(("имя;возраст\nИван;3\n", encoding) for encoding in ("utf-16-le", "utf-16-be", "utf-32-be")),
        *(("名前,x\n太郎,1\n", encoding) for encoding in ("utf-16-le", "utf-16-be")),
    ],
)
def test_an_encoding_of_other_letters_is_detected(text: str, encoding: str) -> None:
    assert read(source(text.encode(encoding))) == read(source(text))


def test_the_first_letter_that_is_not_ascii_may_be_far_down() -> None:
    rows, bad = read(source(("id,name\n" + "1,abc\n" * 100_000 + "2,grün\n").encode("cp1252")))
    assert (len(rows), rows[-1], bad) == (100_001, {"id": "2", "name": "grün"}, [])


@pytest.mark.parametrize(
    ("content", "chosen", "rows"),
    [
        ("a,b;c\nx,y;z\n", {"delimiter": ";"}, [{"a,b": "x,y", "c": "z"}]),
        ("a:b\n1:2\n", {"delimiter": ":"}, [{"a": "1", "b": "2"}]),
        ("a,b\n'x,y',2\n", {"quote": "'"}, [{"a": "x,y", "b": "2"}]),
        ('a,b\n"x,2\n', {"quote": NO_QUOTES}, [{"a": '"x', "b": "2"}]),
        ("1,a\n2,b\n", {"has_header": False}, [{"column_1": "1", "column_2": "a"}, {"column_1": "2", "column_2": "b"}]),
        ("a,b\nü,2\n".encode("cp1253", "replace"), {"encoding": "cp1252"}, [{"a": "?", "b": "2"}]),
    ],
)
def test_a_dialect_can_be_chosen(content: str | bytes, chosen: dict[str, Any], rows: list[dict[str, str]]) -> None:
    assert read(source(content, **chosen)) == (rows, [])


def test_what_would_be_read_in_another_way_says_so() -> None:
    joined = "id;name\n1;Größe\n2;Müller\n".encode() + "3;Grün\n".encode("cp1252")
    for content, reason in (
        (joined, "This is not UTF-8 text (line 4, byte 5)."),
        (b"a,b\n1,\x00\n", "This is a binary file, not text."),
        ('{"a":1,"b":2}\n{"a":3,"b":4}\n', "This is JSON, not CSV. Choose the input format JSON Lines."),
    ):
        with pytest.raises(SourceError) as error:
            read(source(content))
        assert str(error.value).startswith(reason)


@pytest.mark.parametrize("content", ["a\rb\nc\r\nd", "\ufeffa\nb\n\ufeffc\nd"])
def test_lines_end_in_any_way(content: str) -> None:
    assert read(source(content, Format.LINES)) == ([{"value": each} for each in "abcd"], [])


def test_a_long_line_has_a_key_of_its_own_and_a_long_cell_is_named() -> None:
    lines = ["x" * 200 + "1", "x" * 200 + "2"]
    rows = [row for _, row in InputReader(source("\n".join(lines), Format.LINES), get_processor("simulate"))]
    keys = [row.key for row in rows if isinstance(row, InputRow)]
    assert [len(key) for key in keys] == [200, 200]
    assert keys[0] != keys[1]
    too_long = "The key has 201 characters; at most 200 are allowed."
    assert read(source("id,n\n" + "".join(f"{line},1\n" for line in lines)))[1] == [(2, too_long), (3, too_long)]
    numbered = replace(source("\n".join(lines), Format.LINES), key=ROW_NUMBER)
    assert [row.key for _, row in InputReader(numbered, get_processor("simulate")) if isinstance(row, InputRow)] == [
        "1",
        "2",
    ]


def test_empty_cells_of_one_column_are_read_again_from_where_reading_stopped() -> None:
    whole = replace(source("v\n\n1\n\n\n2\n\n"), key=ROW_NUMBER)
    expected = list(InputReader(whole, get_processor("simulate")))
    assert [dict(row.data) for _, row in expected if isinstance(row, InputRow)] == [
        {"v": v} for v in ("", "1", "", "", "2")
    ]
    for stop in range(len(expected)):
        first = InputReader(whole, get_processor("simulate"))
        begun = list(islice(first, stop))
        assert begun + list(InputReader(replace(whole, start=first.position), get_processor("simulate"))) == expected


WIDE = "id;name\r1;ä\r2;Größe\r3;😀\r4;d\r"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32-le", "utf-8"])
@pytest.mark.parametrize("has_header", [True, False])
def test_reading_goes_on_where_another_one_stopped(encoding: str, has_header: bool) -> None:
    whole = source(WIDE.encode(encoding), has_header=has_header, encoding="utf-32-le" if "32" in encoding else "")
    expected = list(InputReader(whole, get_processor("simulate")))
    assert len(expected) == 4 + (not has_header)
    for stop in range(len(expected)):
        first = InputReader(whole, get_processor("simulate"))
        begun = list(islice(first, stop))
        rest = list(InputReader(replace(whole, start=first.position), get_processor("simulate")))
        assert begun + rest == expected


def test_a_batch_begun_by_an_earlier_version_goes_on_with_its_delimiter() -> None:
    whole = source("name, first;age\nx, y;1\nz, w;2\n")
    first = InputReader(replace(whole, dialect=Dialect("utf-8", ",", '"')), get_processor("simulate"))
    assert next(iter(first))[1] == InputRow("x", {"name": "x", "first;age": " y;1"})
    earlier = replace(first.position, dialect={})
    [(_, row)] = InputReader(replace(whole, start=earlier), get_processor("simulate"))
    assert row == InputRow("z", {"name": "z", "first;age": " w;2"})
