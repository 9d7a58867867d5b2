"""The API's description as a page that needs nothing but itself: FastAPI's own fetch theirs from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse

SOURCES = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What that page, and every other answer of the API, may load: nothing."""

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #212529; --faint: #5c646b; --card: #f3f4f6; --line: #d9dde1;
  --link: #046c4e }
@media (prefers-color-scheme: dark) {
  :root { --paper: #181a1d; --ink: #ebedef; --faint: #a5acb2; --card: #24272b; --line: #3a3f45; --link: #6ee7b7 }
}
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.45 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .3rem } h3 { font-size: 1rem }
a { color: var(--link) } :focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem }
table { border-collapse: collapse; width: 100%; table-layout: fixed }
caption { text-align: left; font-weight: 600; padding: .6rem 0 .2rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line) }
th { font-weight: normal }
th:first-child { width: 30% } th:nth-child(2) { width: 25% } td:nth-child(2) { color: var(--faint) }
pre { background: var(--card); padding: .8rem; border-radius: .5rem; white-space: pre-wrap } code { font-size: .95em }
"""


def add_page(app: FastAPI) -> None:
    """At /docs; /redoc leads there."""

    def page(request: Request) -> HTMLResponse:
        return HTMLResponse(api_page(app.openapi(), str(request.base_url)))

    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/redoc", lambda: RedirectResponse("docs"), include_in_schema=False)


def api_page(schema: Mapping[str, Any], address: str) -> str:
    """schema: OpenAPI's. address: of the server, with a slash at its end."""
    routes = [(method, path, route) for path, ways in schema["paths"].items() for method, route in ways.items()]
    known = schema.get("components", {}).get("schemas", {})
    links = "".join(f'<li><a href="#{_anchor(*each[:2])}">{_name(*each[:2])}</a></li>' for each in routes)
    parts = [_route(*each, known, address) for each in routes]
    title = escape(f"{schema['info']['title']} {schema['info']['version']}: the API")
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{_STYLE}</style></head>
<body><main>
<h1>{title}</h1>
<p>JSON in, JSON out. For programs the same is in <a href="openapi.json">openapi.json</a>.</p>
<nav aria-label="Routes"><ul>{links}</ul></nav>
{"".join(parts)}
<h2 id="refusals">Refusals</h2>
<p>Each is a status, and a sentence in <code>detail</code>.</p>
{_table("Statuses", ((status, "", said) for status, said in _refusals(routes)), ("Status", "", "Meaning"))}
</main></body></html>
"""


def _route(method: str, path: str, route: Mapping[str, Any], known: Mapping[str, Any], address: str) -> str:
    asked = _schema_in(route.get("requestBody", {}), known)
    answered = _schema_in(route["responses"]["200"], known)
    example = escape(_example(method, address + path[1:], asked, "security" in route))
    return "\n".join(
        [
            f'<h2 id="{_anchor(method, path)}">{_name(method, path)}</h2>',
            f"<p>{escape(route.get('description', ''))}</p>",
            _fields("Request", asked, known, asked.get("required", ())) if asked else "",
            _fields("Answer", answered, known),
            f"<pre>{example}</pre>",
        ]
    )


def _anchor(method: str, path: str) -> str:
    return f"{method}{path.replace('/', '-')}"


def _name(method: str, path: str) -> str:
    return f"<code>{method.upper()} {escape(path)}</code>"


def _schema_in(message: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    return _resolved(message.get("content", {}).get("application/json", {}).get("schema", {}), known)


def _resolved(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    return known[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _fields(caption: str, schema: Mapping[str, Any], known: Mapping[str, Any], needed: Collection[str] = ()) -> str:
    if "properties" not in schema:
        return f"<p>{caption}: {escape(_kind(schema, known))}.</p>"
    rows = ((name, _kind_and_default(each, known), _meaning(name, each, needed)) for name, each in _flat(schema, known))
    return _table(caption, rows, ("Field", "Kind", "Meaning"))


def _flat(schema: Mapping[str, Any], known: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The fields, and behind each those of the objects it holds."""
    for name, each in schema["properties"].items():
        yield f"{before}{name}", each
        inner = _resolved(each.get("items", each), known)
        if "properties" in inner:
            yield from _flat(inner, known, f"{before}{name}{'[]' if 'items' in each else ''}.")


def _meaning(name: str, field: Mapping[str, Any], needed: Collection[str]) -> str:
    return "; ".join(filter(None, [field.get("description", ""), "needed" if name in needed else ""]))


def _kind_and_default(field: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    default = field.get("default")
    return _kind(field, known) + (f"; else {json.dumps(default)}" if default not in (None, "", [], {}) else "")


def _kind(field: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(map(json.dumps, field["enum"]))
    either = field.get("anyOf") or field.get("allOf")
    if either:
        return " or ".join(_kind(each, known) for each in either if each.get("type") != "null")
    if field.get("type") == "array":
        return f"list of {_kind(_resolved(field.get('items', {}), known), known)}"
    return str(_resolved(field, known).get("type", "anything"))


def _table(caption: str, rows: Any, heads: tuple[str, str, str]) -> str:
    lines = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{escape(kind)}</td><td>{escape(said)}</td></tr>'
        for name, kind, said in rows
    )
    columns = "".join(f'<th scope="col">{head}</th>' if head else "<td></td>" for head in heads)
    return f"<table><caption>{caption}</caption><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table>"


def _example(method: str, there: str, asked: Mapping[str, Any], guarded: bool) -> str:
    """For a shell."""
    token = " -H 'Authorization: Bearer TOKEN'" if guarded else ""
    if not asked:
        return f"curl{' -X POST' if method == 'post' else ''}{token} {there}"
    fields = asked["properties"]
    given = {name: _sample(name, each) for name, each in fields.items() if name in asked.get("required", ("image",))}
    body = json.dumps(given).replace('"@"', "\"'\"$(base64 < photo.jpg | tr -d '\\n')\"'\"")
    return f"echo '{body}' |\n  curl{token} -H 'Content-Type: application/json' -d @- {there}"


def _sample(name: str, field: Mapping[str, Any]) -> Any:
    if name == "image":
        return "@"
    if name == "images":
        return ["@"]
    return ["a cat", "a dog"] if field.get("type") == "array" else field.get("default", "")


def _refusals(routes: list[Any]) -> list[tuple[str, str]]:
    found = {status: each["description"] for *_, route in routes for status, each in route["responses"].items()}
    return sorted((status, said) for status, said in found.items() if status != "200")
