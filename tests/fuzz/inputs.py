"""What an attacker sends: to every route, in every place that a request has, and what the API's document allows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import requests
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import strategies as st

from dashboard.api.root import api
from dashboard.live.routing import websocket_urlpatterns
from tests.fuzz.asgi_client import Sent

PARAMETER = re.compile(r"<(?:\w+:)?(?P<name>\w+)>|\{(?P<api>\w+)\}|\(\?P<(?P<group>\w+)>[^()]*\)")

NAMES = """
after ask at batch chart column columns comparison confirm cursor definition direction error example for from kind like
limit mark nodes open page preset q revision search seconds signature sort span status tag until value version view
whole window with items label key format text upload count idempotency_key name note base launch action tags username
password reason parameters-seed plan-window plan-task_queue processor parameters plan workflow_id interval cron token
next back theme language density old_password new_password1 channel address occasions threshold ids node_ids target
timezone approved start end every unit at_hour delimiter quote encoding header file order csrfmiddlewaretoken
""".split()  # noqa: SIM905
"""Names of parameters of pages and routes; those of forms are read from the pages."""

NASTY = [
    "", "\0", "a\0b", "9" * 19, "9" * 30, "-" + "9" * 30, "9" * 5_000, "1e999", "NaN", "Infinity", "-0", "0x1", "١٢",
    "\ud800", "\udfff\ud800", "\ufeff", "\u202e", "../../etc/passwd", "%00", "%", "%zz", "'\";--", "{secret:KEY}",
    "{0.__class__}", "{{7*7}}", "<script>", "=1+1", "a" * 70_000, "\r\nX: y", "\\", "*", "(" * 2_000, "[" * 2_000,
    "{" * 2_000, "2026-13-45T99:99:99", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "1" * 18, "true", "null",
    "[]", "{}", '{"a": 1}', "P1Y", "* * * * *", "é" * 300, "😀", "\x7f\x1b[31m", "simulate", "csv", "failed", "0", "-1",
]  # fmt: skip
"""Values that have broken something somewhere."""

texts = st.sampled_from(NASTY) | st.text(st.characters(), max_size=40)
raw = st.sampled_from([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x80abc"]) | texts.map(
    lambda text: text.encode("utf-8", "surrogatepass")
)
scalars = st.none() | st.booleans() | st.floats() | st.integers(-(10**30), 10**30) | texts
nested = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
depths = st.sampled_from([101, 1_000, 100_000])
deep = st.builds(lambda opened, depth: opened * depth, st.sampled_from(["[", '{"a":', '{"items":[', '[{"":']), depths)
closed = depths.map(lambda depth: "[" * depth + "]" * depth)
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]
ODD_JSON = ['{"a":1,"a":2}', '{"plan":{"chunk_size":1e400}}', '"\\ud800"', '{"label":"\\u0000"}', "NaN", "-"]


def json_texts(names: Sequence[str]) -> st.SearchStrategy[str]:
    """Return texts of JSON, or nearly so, whose objects have names that mean something."""
    in_fields = st.builds(lambda name, value: f'{{"{name}": {value}}}', st.sampled_from(names), closed | deep)
    objects = st.dictionaries(st.sampled_from(names) | texts, nested, max_size=6)
    return (objects | nested).map(json.dumps) | in_fields | deep | closed | texts | st.sampled_from(ODD_JSON)


CONTENT_TYPES = ["application/json", "application/json; charset=utf-16", "text/plain; charset=no-such", "", "\x7f"]
CONTENT_TYPES += [
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=x",
    "text/html",
]
CONTENT_TYPES += ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-7"]
CONTENT_TYPES += ["application/json;" + "a" * 300]

HEADERS = """
Accept-Language Idempotency-Key Range If-None-Match If-Modified-Since Referer X-Forwarded-For X-Forwarded-Proto Host
HX-Request HX-Trigger HX-Current-URL HX-Boosted HX-Target Content-Encoding HX-Prompt Accept Cookie Origin Forwarded
Upgrade Transfer-Encoding X-CSRFToken Authorization HX-Current-URL-URI-AutoEncoded HX-Prompt-URI-AutoEncoded
Content-Type
""".split()  # noqa: SIM905

content_types = st.sampled_from(CONTENT_TYPES)
header_names = st.sampled_from(HEADERS)
header_values = (
    raw | st.sampled_from([b"Bearer \xff", b"Basic !!", b"true", b"sessionid=a\0b", b"csrftoken=\xff"])
).map(lambda value: value.replace(b"\r", b"").replace(b"\n", b""))
headers = st.dictionaries(header_names, header_values, max_size=3)


def page_routes(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """Yield the routes of pages."""
    for each in (resolver or get_resolver()).url_patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLPattern):
            yield route
        elif not route.startswith("api/"):
            yield from page_routes(each, route)


def routes() -> list[str]:
    """Return the routes of pages, of the API and of websockets, with their parameters."""
    found = {*page_routes(), *(path.removeprefix("/") for path in api.get_openapi_schema()["paths"])}
    sockets = [str(each.pattern) for each in websocket_urlpatterns]
    return [*sorted("/" + re.sub(r"[\^$\\]", "", route) for route in found), *(f"/{route}" for route in sockets), "/x"]


def form_body(kind: str, fields: Mapping[str, bytes]) -> bytes:
    """Return the body of a form, as multipart where its type says so."""
    if not kind.startswith("multipart"):
        return urlencode(fields).encode()
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"'.encode() for name in fields]
    whole = (head + b"\r\n\r\n" + value for head, value in zip(parts, fields.values(), strict=True))
    return b"\r\n".join(whole) + b"\r\n--x--\r\n"


def attacks(known: Mapping[str, str], names: Sequence[str]) -> st.SearchStrategy[Sent]:
    """Return requests to any route with hostile values anywhere.

    `known` has values of parameters of addresses that exist, `names` those of fields and parameters.
    """
    every_route, json_text = routes(), json_texts(names)
    methods = {path: [method.upper() for method in of] for path, of in api.get_openapi_schema()["paths"].items()}

    @st.composite
    def attack(draw: st.DrawFn) -> Sent:
        route = draw(st.sampled_from(every_route))
        share = draw(st.integers(0, 3))

        def filled(found: re.Match[str]) -> str:
            name = found[found.lastgroup or 0]
            if draw(st.integers(0, 3)) >= share and name in known:
                return known[name]
            return quote_from_bytes(draw(raw)[:8_000], safe="")

        target = PARAMETER.sub(filled, route).encode()
        if draw(st.booleans()):
            query = draw(st.dictionaries(st.sampled_from(names), raw, min_size=1, max_size=5))
            target += b"?" + urlencode(query).encode()
        if route.startswith("/ws/") or route == "/x":
            return Sent("WEBSOCKET", target, draw(headers), draw(raw))
        method = draw(st.sampled_from([*methods.get(route, ["GET", "POST"]) * 5, *METHODS]))
        sent = {**draw(headers), "Content-Type": draw(content_types).encode("latin-1")}
        if method in ("GET", "HEAD"):
            return Sent(method, target, draw(headers))
        if route.startswith("/api/") and draw(st.integers(0, 3)):
            sent["Content-Type"] = b"application/json"
            return Sent(method, target, sent, draw(json_text).encode("utf-8", "surrogatepass"))
        kind = draw(st.sampled_from(["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]))
        fields = draw(st.dictionaries(st.sampled_from(names), raw | json_text.map(_encoded), max_size=8))
        if draw(st.integers(0, 3)):
            sent["Content-Type"] = kind.encode()
        return Sent(method, target, sent, form_body(kind, fields))

    return attack()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def documented(known: Mapping[str, str]) -> st.SearchStrategy[Sent]:
    """Return requests that the API's OpenAPI document allows, and ones that it just does not."""
    import schemathesis
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_dict(dict(api.get_openapi_schema()))
    operations: Iterable[Any] = schema.get_all_operations()
    strategies = [
        each.ok().as_strategy(generation_mode=mode)
        for each in operations
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ]
    return st.builds(
        lambda case, is_known: _sent(case, known if is_known else {}), st.one_of(strategies), st.booleans()
    )


def _sent(case: Any, known: Mapping[str, str]) -> Sent:
    case.path_parameters = {**(case.path_parameters or {}), **{
        name: value for name, value in known.items() if name in (case.path_parameters or {})
    }}  # fmt: skip
    given = case.as_transport_kwargs(base_url="http://127.0.0.1")
    for name in ("cookies", "headers"):
        given.pop(name, None)
    prepared = requests.Request(**given).prepare()
    body = prepared.body or b""
    kind = str(prepared.headers.get("Content-Type", ""))
    encoded = body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")
    return Sent(case.method, str(prepared.path_url).encode(), {"Content-Type": kind.encode()} if kind else {}, encoded)
