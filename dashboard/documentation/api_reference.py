"""docs/api-reference.md: the routes and schemas of the API, from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dashboard.api.root import api

HEAD = """# API reference

Every route of the API, below the dashboard's address, generated from its OpenAPI document. That document itself is at
`/api/v1/openapi.json`, and `/api/v1/docs` tries it in the browser. [API](api.md) says how to log in, and shows a batch
from launch to results. Errors have one shape, `Problem`, whatever the route.
"""

ERRORS = """## Errors of any route

| status | when |
| --- | --- |
"""

REFERENCE = "#/components/schemas/"
SUCCESS = range(200, 300)


def markdown() -> str:
    """Return the page."""
    document: Mapping[str, Any] = api.get_openapi_schema(path_prefix="/api/v1/")
    routes = [(method, path, each) for path, found in document["paths"].items() for method, each in found.items()]
    groups: dict[str, list[str]] = {}
    for method, path, each in routes:
        groups.setdefault(_group(path), []).append(_route(method, path, each))
    parts = [HEAD, ERRORS + "\n".join(_errors(each for _, _, each in routes))]
    parts += [f"## {title}\n\n" + "\n\n".join(found) for title, found in groups.items()]
    schemas = document["components"]["schemas"]
    parts.append("## Schemas\n\n" + "\n\n".join(_schema(name, schemas[name]) for name in sorted(schemas)))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _group(path: str) -> str:
    return path.removeprefix("/api/v1/").partition("/")[0].replace("-", " ").capitalize()


def _errors(routes: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    found = {int(status): answer["description"] for each in routes for status, answer in each["responses"].items()}
    return (f"| {status} | {found[status]} |" for status in sorted(found) if status not in SUCCESS)


def _route(method: str, path: str, described: Mapping[str, Any]) -> str:
    lines = [f"### `{method.upper()} {path}`", _text(described.get("description", ""))]
    if parameters := described.get("parameters"):
        rows = [
            f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} | {_about(each['schema'])} |"
            for each in parameters
        ]
        lines.append("| parameter | in | type | |\n| --- | --- | --- | --- |\n" + "\n".join(rows))
    if body := described.get("requestBody"):
        lines.append("Body: " + ", ".join(f"{_type(each['schema'])} as `{kind}`" for kind, each in _content(body)))
    answers = [
        f"{status}" + "".join(f" with {_type(each['schema'])}" for _, each in _content(answer))
        for status, answer in sorted(described["responses"].items(), key=lambda pair: int(pair[0]))
        if int(status) in SUCCESS
    ]
    lines.append("Answer: " + ", or ".join(answers))
    return "\n\n".join(line for line in lines if line)


def _content(described: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return list(described.get("content", {}).items())


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    head = f"### {name}"
    about = [_text(schema["description"])] if schema.get("description") else []
    if "properties" not in schema:
        return "\n\n".join([head, *about, f"{_type(schema)}."])
    required = schema.get("required", [])
    rows = [
        f"| `{field}`{' *' if field in required else ''} | {_type(each)} | {_about(each)} |"
        for field, each in schema["properties"].items()
    ]
    return "\n\n".join([head, *about, "| field | type | |\n| --- | --- | --- |\n" + "\n".join(rows)])


def _about(schema: Mapping[str, Any]) -> str:
    text = _text(schema.get("description", ""))
    default = schema.get("default")
    return text if default in (None, "", [], {}) else f"{text} Default: `{default}`.".strip()


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in words, with a link where it is a schema of its own."""
    if reference := schema.get("$ref", "").removeprefix(REFERENCE):
        return f"[{reference}](#{reference.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " or ".join(dict.fromkeys(map(_type, several)))
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{each}`" for each in choices)
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _text(text: str) -> str:
    """Return a description on one line, for a table."""
    return " ".join(text.split()).replace("|", "\\|")
