"""Reading an input takes time in proportion to its size, whatever is in it; what has a limit says so at once."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest

from dashboard.inputs.csv_rows import MOST_COLUMNS
from dashboard.inputs.source import Format, Source, list_source
from dashboard.inputs.survey import BAD_ROWS_SHOWN, Survey, survey
from orchestration.processors.catalogue import get_processor
from tests.support.growth import check_growth

CSV = {
    "columns": lambda n: ",".join(f"c{number}" for number in range(n)) + "\n",
    "columns, one twice": lambda n: ",".join(f"c{number}" for number in range(n)) + f",c{n - 1}\n",
    "columns without a name": lambda n: "a" + "," * n + "\n1\n",
    "empty lines behind one column": lambda n: "a\n1\n" + "\n" * n,
    "empty lines between one column": lambda n: "a\n" + "1\n\n\n" * n,
    "blanks before another delimiter": lambda n: "a,b\n" + " " * n + ";,x\n",
    "blanks within": lambda n: "a,b\n1" + " " * n + "x;,x\n",
    "quotes that are never closed": lambda n: "a,b\n" + '"x,\n' * n,
    "quotes with text behind them": lambda n: "a,b\n" + '"x"y,1\n' * n,
    "many quotes and then a wrong one": lambda n: "a,b\n" + '"x",' * n + '"x"y\n',
    "rows of another width": lambda n: "a,b\n" + "1\n" * n,
    "byte order marks": lambda n: "a,b\n" + "\ufeffa,b\n" * n,
    "carriage returns": lambda n: "\r" * 10 * n,
    "opened brackets": lambda n: "[ " * n,
}
JSON_LINES = {
    "a name twice": lambda n: json.dumps({f"n{number}": 1 for number in range(n)})[:-1] + f', "n{n - 1}": 1}}',
    "depth": lambda n: ("[" * 90 + "]" * 90 + "\n") * (n // 50),
    "digits": lambda n: ("1" * 4_000 + "\n") * (n // 50),
    "escapes": lambda n: '{"a": "' + "\\u0041" * n + '"}',
}


def read(format_: Format, content: bytes) -> Survey:
    source = Source(format_, lambda: io.BytesIO(content))
    return survey(source, get_processor("csv_import"), limit=1_000_000)


@pytest.mark.parametrize("make", CSV.values(), ids=CSV)
def test_csv(make: Callable[[int], str]) -> None:
    check_growth(lambda n: make(n).encode(), lambda content: read(Format.CSV, content), 1_000)


@pytest.mark.parametrize("make", JSON_LINES.values(), ids=JSON_LINES)
def test_json_lines(make: Callable[[int], str]) -> None:
    check_growth(lambda n: make(n).encode(), lambda content: read(Format.JSONL, content), 2_000)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
@pytest.mark.parametrize("line", ["ä,ö\n", "ä"], ids=["lines", "one long line"])
def test_encodings(encoding: str, line: str) -> None:
    check_growth(lambda n: ("a,b\n" + line * n).encode(encoding), lambda content: read(Format.CSV, content), 3_000)


def test_bad_items_are_counted_and_only_the_first_explained() -> None:
    processor, surveys = get_processor("web_page"), list[Survey]()
    check_growth(
        lambda n: list_source([{"url": 5}] * n),
        lambda source: surveys.append(survey(source, processor, limit=1_000_000)),
        1_000,
    )
    found = surveys[-1]
    assert len(found.bad_lines) == 8_000
    assert len(found.bad) == BAD_ROWS_SHOWN
    assert all("url: " in row.message for row in found.bad)


def test_a_file_with_too_many_columns_is_a_sentence() -> None:
    header = ",".join(f"c{number}" for number in range(30_000))
    assert "30,000 columns; at most 2,000" in read(Format.CSV, header.encode()).error
    within = ",".join(f"c{number}" for number in range(MOST_COLUMNS))
    assert not read(Format.CSV, f"{within}\n{within.replace('c', '')}\n".encode()).error


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("block", [4, 8, 12, 64])
def test_line_ends_of_wide_encodings_are_found_wherever_a_block_ends(
    encoding: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard.inputs import lines

    monkeypatch.setattr(lines, "BLOCK", block)
    text = "ab\r\ncd\re\n\r\n\rlast"
    read_lines = list(lines.LineReader(io.BytesIO(text.encode(encoding)), encoding))
    assert read_lines == ["ab\r\n", "cd\r", "e\n", "\r\n", "\r", "last"]
