"""The OpenAPI document, made from the Structs that validate and answer the calls, and from the route table."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import flask
import msgspec

from webapp import __version__
from webapp.api import objects
from webapp.api.door import TABLE, Call, Calls, Later

REF = "#/components/schemas/{name}"
PARAMETER = re.compile(r"<int:(\w+)>")
ID = {"type": "integer", "minimum": 1}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key within 24 hours is answered as the first time, and nothing is done again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
ABOUT = (
    "What people's scripts and agents' plugins may call. Times are UTC; a field that is unknown is null, never absent."
)

calls = Calls.named("openapi")


@calls.open("/openapi.json")
def document() -> flask.Response:
    """This document."""
    return flask.Response(made(), mimetype="application/json")


@lru_cache(maxsize=1)
def made() -> bytes:
    """The whole document as JSON; made once."""
    return msgspec.json.encode(described(TABLE))


def described(table: Iterable[Call]) -> dict[str, Any]:
    """The document for these calls."""
    table = list(table)
    structs = [kind for call in table for kind in (call.takes, call.gives) if kind is not None]
    shapes, components = msgspec.json.schema_components([*structs, objects.Refused, Later], ref_template=REF)
    shape: dict[type[Any], dict[str, Any]] = dict(zip([*structs, objects.Refused, Later], shapes, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for call in table:
        path = PARAMETER.sub(r"{\1}", f"{call.prefix}{call.path}")
        paths.setdefault(path, {})[call.method.lower()] = operation(call, shape, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Switchyard", "version": __version__, "description": ABOUT},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def operation(call: Call, shape: Mapping[type[Any], dict[str, Any]], components: Mapping[str, Any]) -> dict[str, Any]:
    """One call."""
    found: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.says,
        "parameters": parameters(call, components),
        "responses": {
            str(call.status): answer(call.says, call.gives, shape),
            "default": answer("Why it was not done.", call.gives if call.open else objects.Refused, shape),
        },
    }
    if call.waits:
        found["responses"]["202"] = answer("The gateway has not answered within 10 s.", Later, shape)
    if call.takes is not None and call.method in ("POST", "PATCH"):
        found["requestBody"] = {"required": True, **content(call.takes, shape)}
    if call.open:
        found["security"] = []
    return found


def parameters(call: Call, components: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What stands in the path, in the query, in the head."""
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": ID} for name in PARAMETER.findall(call.path)
    ]
    if call.takes is not None and call.method in ("GET", "DELETE"):
        struct = components[call.takes.__name__]
        wanted = struct.get("required", [])
        for name, schema in struct["properties"].items():
            found.append({"name": name, "in": "query", "required": name in wanted, "schema": schema})
    return found if call.method == "GET" else [*found, KEY]


def answer(says: str, gives: type[Any] | None, shape: Mapping[type[Any], dict[str, Any]]) -> dict[str, Any]:
    """One answer: what it means, and the Struct it carries."""
    return {"description": says, **({} if gives is None else content(gives, shape))}


def content(kind: type[Any], shape: Mapping[type[Any], dict[str, Any]]) -> dict[str, Any]:
    """A Struct as JSON."""
    return {"content": {"application/json": {"schema": shape[kind]}}}
