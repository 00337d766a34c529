"""What is downloaded to be launched again comes back equal, in every format and any number of rounds."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.inputs import relaunch
from dashboard.inputs.reader import InputReader
from dashboard.inputs.rows import BadRow, InputRow
from dashboard.inputs.source import Format, Source
from orchestration.processors.catalogue import get_processor

Items = list[tuple[str, dict[str, Any]]]
Rows = list[tuple[str, Mapping[str, Any], str]]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
special = st.sampled_from(
    ["", "'", '"', "=a", "+49 170 1", "-foo", "-1e5", "@x", "null", "1", "a\r\nb", "\ufeff", "sep=;"]
)
names = texts | special | st.sampled_from([*relaunch.OWN_COLUMNS, relaunch.ITEM_FIELD, "key", "id"])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | special
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
keys = (texts | special).filter(lambda key: key.strip())
items = st.lists(st.tuples(keys, st.dictionaries(names, values, max_size=4)), min_size=1, max_size=6)


def csv_text(rows: Rows) -> Iterator[str]:
    columns = dict.fromkeys(name for _, data, _ in rows for name in data)
    return relaunch.csv_lines(list(columns), rows)


FORMATS: dict[Format, Callable[[Rows], Iterator[str]]] = {
    Format.CSV: csv_text,
    Format.JSONL: relaunch.json_lines,
}


def launched(kind: Format, content: str) -> Items:
    raw = content.encode()
    rows = [row for _, row in InputReader(Source(kind, lambda: io.BytesIO(raw)), get_processor("simulate"))]
    assert all(isinstance(row, InputRow) for row in rows), rows
    return [(row.key, dict(row.data)) for row in rows if isinstance(row, InputRow)]


@pytest.mark.parametrize("kind", FORMATS)
@given(given_items=items, reason=texts | special)
def test_items_come_back_equal_in_each_round(kind: Format, given_items: Items, reason: str) -> None:
    found = given_items
    for _ in range(2):
        found = launched(kind, "".join(FORMATS[kind]([(key, data, reason) for key, data in found])))
        assert found == given_items


def test_a_cell_that_was_fixed_is_read_as_what_it_is() -> None:
    [header, row] = relaunch.csv_lines(["n", "v"], [("k", {"n": 1}, "wrong")])
    assert row == '"1","","wrong","k","{""json"": [""n""], ""absent"": [""v""]}"\r\n'
    fixed = row.replace('"1","",', '"2","new",')
    assert launched(Format.CSV, header + fixed) == [("k", {"n": 2, "v": "new"})]


def test_only_such_files_are_read_in_this_way() -> None:
    other = '{"canopy_key":"k","why_rejected":"x"}\n'
    assert launched(Format.JSONL, other) == [("1", {"canopy_key": "k", "why_rejected": "x"})]
    assert launched(Format.CSV, "a,why_rejected\n1,x\n") == [("1", {"a": "1", "why_rejected": "x"})]


def test_the_deepest_item_that_is_allowed_comes_back() -> None:
    deepest: Any = {}
    for _ in range(99):
        deepest = {"v": deepest}
    for kind, write in FORMATS.items():
        assert launched(kind, "".join(write([("k", deepest, "")]))) == [("k", deepest)]


def test_a_row_without_the_columns_behind_the_items_is_a_bad_row() -> None:
    content = ('"a","b","why_rejected","canopy_key","canopy_types"\n' + '"1","2"\n').encode()
    [(line, row)] = InputReader(Source(Format.CSV, lambda: io.BytesIO(content)), get_processor("simulate"))
    assert row == BadRow(2, "2 cells, but the header has 5.")
    assert line == 2
