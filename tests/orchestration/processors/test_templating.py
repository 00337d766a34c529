"""Templates: fields in URLs and JSON."""

from __future__ import annotations

from orchestration.processors.templating import fill_json, fill_url


def test_templates_encode_fields_in_urls_and_keep_json_types() -> None:
    assert fill_url("{base}/{id}", {"base": "http://h", "id": "a/b?c"}) == "http://h/a%2Fb%3Fc"
    assert fill_json({"n": "{n}", "l": ["{n} x"]}, {"n": 5}) == {"n": 5, "l": ["5 x"]}
