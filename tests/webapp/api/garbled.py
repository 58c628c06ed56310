"""Strategies that garble valid calls: built from the OpenAPI document, so that a new call is garbled by itself."""

import json
import re
from typing import Any, NamedTuple

from hypothesis import strategies as st

NASTY_TEXTS = [
    "", " ", "\x00", "a\x00b", "\ud800", "\u202e", "\u200b", "\ufeff", "x" * 300, "null", "-1", "1e400", "{}",
    "' OR 1=1", "%s%n", "../../etc", "<script>", "\U0001f600" * 50, "\r\nX-Header: 1", "9" * 400,
]  # fmt: skip
NASTY: list[Any] = [
    None, True, False, 0, -1, 1.5, 2**31, 2**53, 2**63, 2**64, 10**300, -(10**300), 1e308, [], {}, [[]], [None],
    {"a": {}}, {"$ref": "#"}, *NASTY_TEXTS,
]  # fmt: skip
KINDS = ["application/json", "application/json; charset=latin-1", "text/plain", "application/x-www-form-urlencoded", ""]
DEEP = "[" * 20_000


class Garbled(NamedTuple):
    """One call that is nearly right. `named` are the words of which a refusal of its body must name one."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    kind: str
    named: set[str]


def value(schema: dict[str, Any], schemas: dict[str, Any], known: dict[str, list[int]], name: str) -> st.SearchStrategy:
    """A value that fits; an id is mostly one that exists."""
    if "$ref" in schema:
        return value(schemas[schema["$ref"].rpartition("/")[2]], schemas, known, name)
    if "anyOf" in schema:
        return st.one_of([value(one, schemas, known, name) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("type") == "integer" and name in known:
        return st.sampled_from([*known[name], 10**9])
    if "pattern" in schema:
        return st.sampled_from([str(id) for id in known.get(name, [1])])
    plain: dict[str, st.SearchStrategy] = {
        "integer": st.integers(schema.get("minimum", 0), min(schema.get("maximum", 1000), 1000)),
        "boolean": st.booleans(),
        "null": st.none(),
        "array": st.lists(st.text(max_size=5), max_size=3),
        "object": st.just({}),
    }
    return plain.get(
        schema.get("type", ""), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
    )


def fitting(schema: dict[str, Any], schemas: dict[str, Any], known: dict[str, list[int]]) -> st.SearchStrategy:
    """A whole body that fits."""
    fields = {name: value(one, schemas, known, name) for name, one in schema.get("properties", {}).items()}
    required = {name: fields.pop(name) for name in schema.get("required", [])}
    return st.fixed_dictionaries(required, optional=fields)


@st.composite
def calls(draw: st.DrawFn, document: dict[str, Any], known: dict[str, list[int]]) -> Garbled:
    """One call of the document, garbled in one place or not at all."""
    table = [(path, verb) for path in sorted(document["paths"]) for verb in sorted(document["paths"][path])]
    path, verb = draw(
        st.sampled_from([row for row in table if row[0].startswith("/api/v1/") and "openapi" not in row[0]])
    )
    operation, schemas = document["paths"][path][verb], document["components"]["schemas"]
    filled = re.sub(r"{(\w+)}", lambda found: str(draw(st.sampled_from(known[found[1]]))), path)
    queries = {
        one["name"]: value(one["schema"], schemas, known, one["name"])
        for one in operation["parameters"]
        if one["in"] == "query"
    }
    query = draw(st.fixed_dictionaries({}, optional=queries))
    if "requestBody" in operation:
        shape = operation["requestBody"]["content"]["application/json"]["schema"]
        schema = schemas[shape["$ref"].rpartition("/")[2]]
        sent, names = draw(fitting(schema, schemas, known)), set(schema["properties"])
        return _garbled_body(draw, verb, filled, sent, names)
    spoiled = _garbled_fields(draw, dict(query), set(queries))
    shown = {name: "" if given is None else str(given) for name, given in spoiled.items()}
    shown = {
        name.encode("utf-8", "replace").decode(): text.encode("utf-8", "replace").decode()
        for name, text in shown.items()
    }
    return Garbled(verb, filled, shown, b"", "", set(shown) | set(queries))


def _garbled_fields(draw: st.DrawFn, sent: dict[str, Any], names: set[str]) -> dict[str, Any]:
    how = draw(st.sampled_from(["leave", "spoil", "drop", "add", "rename"]))
    if how == "spoil" and names:
        sent[draw(st.sampled_from(sorted(names)))] = draw(st.sampled_from(NASTY))
    elif how == "drop" and sent:
        sent.pop(draw(st.sampled_from(sorted(sent))))
    elif how == "add":
        sent[draw(st.sampled_from(["zz", "id", "", "\x00", "__proto__", "x" * 200]))] = draw(st.sampled_from(NASTY))
    elif how == "rename" and sent:
        name = draw(st.sampled_from(sorted(sent)))
        sent[name.upper()] = sent.pop(name)
    return sent


def _garbled_body(draw: st.DrawFn, verb: str, path: str, sent: dict[str, Any], names: set[str]) -> Garbled:
    sent = _garbled_fields(draw, sent, names)
    body: Any = draw(st.sampled_from([sent, sent, sent, sent, sent, [sent], None, "text"]))
    raw = json.dumps(body, ensure_ascii=draw(st.booleans())).encode("utf-8", "replace")
    how = draw(st.sampled_from(["leave"] * 5 + ["cut", "swap", "deep", "twice"]))
    place = draw(st.integers(0, max(len(raw) - 1, 0)))
    if how == "cut":
        raw = raw[:place]
    elif how == "swap":
        raw = raw[:place] + draw(st.binary(min_size=1, max_size=2)) + raw[place + 1 :]
    elif how == "deep":
        raw = raw[:1] + b'"zz": ' + DEEP.encode() + b"," + raw[1:]
    elif how == "twice":
        raw *= 2
    kind = draw(st.sampled_from(["application/json"] * 8 + KINDS))
    return Garbled(verb, path, {}, raw, kind, names | {name[:80] for name in sent} | {"body"})
