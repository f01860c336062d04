"""The documentation as a page, made from the OpenAPI schema. Nothing in it comes from elsewhere."""

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from easytune.api.examples import EXAMPLES, FAILED
from easytune.i18n import t

Schema = dict[str, Any]
_Operation = tuple[str, str, Schema]
TEMPLATE = Path(__file__).with_name("page.html")
DEEPEST = 3
"""Fields of fields of fields are shown in place; deeper ones would not be read."""


def render(schema: Schema, lang: str) -> str:
    """Return the page for a described schema."""
    groups = _groups(schema)
    server = schema["servers"][0]["url"]
    texts = {
        name: escape(t(f"api.page.{name}", lang))
        for name in ("begin", "access", "access_text", "errors", "errors_text")
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        texts,
        lang=lang,
        title=escape(schema["info"]["title"]),
        about=escape(schema["info"]["description"]),
        links=_links(groups, lang),
        examples="".join(_figure(n, text.format(server=server), lang) for n, text in EXAMPLES),
        error_example=_figure("errors", json.dumps(FAILED, indent=2), lang),
        groups="".join(_group(schema, name, calls, lang) for name, calls in groups.items()),
    )


def _groups(schema: Schema) -> dict[str, list[_Operation]]:
    """Return the calls of each group, in the order in which they were made known."""
    groups: dict[str, list[_Operation]] = {}
    for path, route in schema["paths"].items():
        for method, operation in route.items():
            for name in operation["tags"]:
                groups.setdefault(name, []).append((method, path, operation))
    return groups


def _links(groups: dict[str, list[_Operation]], lang: str) -> str:
    parts = ["begin", "access", "errors"]
    links = [f'<a href="#{part}">{escape(t(f"api.page.{part}", lang))}</a>' for part in parts]
    for name in groups:
        links.append(f'<a href="#{name}">{escape(t(f"api.group.{name}", lang))}</a>')
    links.append('<a href="/api/openapi.json">openapi.json</a>')
    links.append(f'<a href="/">{escape(t("api.page.back", lang))}</a>')
    return "".join(links)


def _figure(name: str, text: str, lang: str) -> str:
    caption = escape(t(f"api.example.{name}", lang))
    copy, copied = escape(t("app.copy", lang)), escape(t("app.copied", lang), quote=True)
    return (
        f"<figure><figcaption>{caption}<button type='button' data-copy=\"{copied}\">{copy}"
        f"</button></figcaption><pre>{escape(text)}</pre></figure>"
    )


def _group(schema: Schema, name: str, operations: list[_Operation], lang: str) -> str:
    heading = f'<h2 id="{name}">{escape(t(f"api.group.{name}", lang))}</h2>'
    return heading + "".join(_operation(schema, *found, lang) for found in operations)


def _operation(schema: Schema, method: str, path: str, operation: Schema, lang: str) -> str:
    head = (
        f'<summary><span class="method {method}">{method.upper()}</span>'
        f"<code>{escape(path)}</code><span>{escape(operation['summary'])}</span></summary>"
    )
    more = operation.get("description", "")
    inside = f"<p>{escape(more)}</p>" if more else ""
    inside += _table("parameters", list(_parameters(operation)), lang)
    inside += _table("body", list(_fields(schema, _body(operation))), lang)
    inside += _table("reply", list(_fields(schema, _reply(operation))), lang)
    identity = operation["operationId"]
    return f'<details id="{identity}">{head}<div class="inside">{inside}</div></details>'


def _parameters(operation: Schema) -> Iterator[tuple[str, Schema, bool]]:
    for parameter in operation.get("parameters", []):
        content = parameter["schema"] | {"description": parameter["description"]}
        yield parameter["name"], content, parameter.get("required", False)


def _body(operation: Schema) -> Schema:
    content = operation.get("requestBody", {}).get("content", {})
    return next((body.get("schema", {}) for body in content.values()), {})


def _reply(operation: Schema) -> Schema:
    for status, reply in operation["responses"].items():
        if status.startswith("2"):
            return reply.get("content", {}).get("application/json", {}).get("schema", {})
    return {}


def _fields(
    schema: Schema, content: Schema, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Schema, bool]]:
    """Yield name, schema and need of every field, those of inner objects after their own."""
    model = _model(schema, content)
    for name, field in model.get("properties", {}).items():
        # What is inside a reply is always there; only what must be sent is worth a mark.
        yield f"{prefix}{name}", field, name in model.get("required", ())
        is_list = "array" in _kinds(schema, field)
        if depth < DEEPEST:
            inner = f"{prefix}{name}{'[]' if is_list else ''}."
            yield from _fields(schema, field, inner, depth + 1)


def _model(schema: Schema, content: Schema) -> Schema:
    """Return the object a schema is about: itself, behind a reference, in a list, or or-ed."""
    if reference := content.get("$ref"):
        return schema["components"]["schemas"][reference.rpartition("/")[2]]
    inner = [content["items"]] if "items" in content else content.get("anyOf", [])
    return next((model for part in inner if (model := _model(schema, part))), {})


def _kinds(schema: Schema, content: Schema) -> list[str]:
    """Return the kinds of value a field takes, in JSON's words."""
    if "anyOf" in content:
        return [kind for part in content["anyOf"] for kind in _kinds(schema, part)]
    if "const" in content:
        return [json.dumps(content["const"])]
    if "enum" in content:
        return [json.dumps(value, ensure_ascii=False) for value in content["enum"]]
    return ["object" if "$ref" in content else content.get("type", "any")]


def _table(name: str, fields: list[tuple[str, Schema, bool]], lang: str) -> str:
    if not fields:
        return ""
    needs = name != "reply"
    rows = "".join(
        _row(field, content, needs and needed, lang) for field, content, needed in fields
    )
    return f'<h3>{escape(t(f"api.page.{name}", lang))}</h3><div class="fields">{rows}</div>'


def _row(name: str, content: Schema, needed: bool, lang: str) -> str:
    kinds = " | ".join(dict.fromkeys(_kinds({}, content)))
    default = content.get("default")
    facts = [escape(kinds)]
    if default not in (None, "", [], {}) and not isinstance(default, dict):
        said = t("api.page.default", lang, value=json.dumps(default, ensure_ascii=False))
        facts.append(escape(said))
    need = f' <span class="needed">{escape(t("api.page.needed", lang))}</span>' if needed else ""
    return (
        f'<div class="field"><div><code>{escape(name)}</code>{need}'
        f"<small>{' · '.join(facts)}</small></div>"
        f"<p>{escape(content.get('description', ''))}</p></div>"
    )
