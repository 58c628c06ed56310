"""What a program sent, as a Struct: the body of a write, the query of a read. What does not fit is said in words."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import flask
import msgspec

from models.errors import Invalid, Malformed
from webapp import half_letters

T = TypeVar("T")

SEND_JSON = "Send JSON, with Content-Type: application/json."
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
    "datetime": "a time",
}


def body(wanted: type[T]) -> T:
    """The JSON body of this request. Raises Malformed (no JSON) or Invalid (naming the field)."""
    raw = flask.request.get_data()
    sent = flask.request.content_type
    if sent and not flask.request.is_json:
        raise Malformed(f"{SEND_JSON} This came as {sent.split(';')[0].strip()[:80]}.")
    if not raw.strip():
        raise Malformed(f"The body is empty. {SEND_JSON}")
    return without_zero_bytes(_decoded(raw, wanted))


def query(wanted: type[T], also: Mapping[str, Any] | None = None) -> T:
    """The query of this request, blank values left out; `also` is given less weight. Raises Invalid (naming it)."""
    given = {**(also or {}), **{name: text for name, text in flask.request.args.items() if text.strip()}}
    try:
        return without_zero_bytes(msgspec.convert(given, wanted, strict=False))
    except msgspec.ValidationError as error:
        raise unfit(error, wanted) from None


def query_or_body(wanted: type[T]) -> T:
    """For DELETE: parameters stand in the query, or in a JSON body where the query says nothing."""
    raw = flask.request.get_data()
    also = _decoded(raw, dict[str, Any]) if flask.request.is_json and raw.strip() else {}
    return query(wanted, also)


def _decoded(raw: bytes, wanted: type[T]) -> T:
    try:
        return msgspec.json.decode(half_letters.replaced(raw), type=wanted)
    except msgspec.ValidationError as error:
        raise unfit(error, wanted) from None
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body is no valid JSON: {str(error).removeprefix('JSON is malformed: ')}.") from None


def unfit(error: msgspec.ValidationError, wanted: Any) -> Invalid:
    """What does not fit, as a sentence that begins with the field."""
    problem, _, place = str(error).partition(" - at ")
    field = place.strip("`").removeprefix("$.").removeprefix("$") or "body"
    if missing := re.fullmatch(r"Object missing required field `(.*)`", problem):
        name = _joined(field, missing[1])
        return Invalid(**{name: f"{name} is missing."})
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", problem, re.DOTALL):
        known = ", ".join(one.encode_name for one in msgspec.structs.fields(wanted)) or "none"
        return Invalid(**{unknown[1][:80]: f"{unknown[1][:80]} is not known here. These are: {known}."})
    return Invalid(**{field: f"{field}: {_in_words(problem, field, wanted)}"})


def _joined(field: str, name: str) -> str:
    return name if field == "body" else f"{field}.{name}"


def _in_words(problem: str, field: str, wanted: Any) -> str:
    if found := re.fullmatch(r"Expected `(.+)`, got `(\w+)`", problem):
        kinds = " or ".join(KINDS.get(kind, kind) for kind in found[1].replace("int | str", "int").split(" | "))
        return f"give {kinds}, not {KINDS.get(found[2], found[2])}."
    if found := re.fullmatch(r"Expected `\w+` of length (<=|>=) (\d+)", problem):
        return f"give {'at most' if found[1] == '<=' else 'at least'} {int(found[2]):,} characters."
    if found := re.fullmatch(r"Expected `\w+` (<=|>=) (-?\d+)", problem):
        return f"give a number of {'at most' if found[1] == '<=' else 'at least'} {found[2]}."
    if problem.startswith("Expected `str` matching regex"):
        return "give a whole number."
    if problem.startswith("Invalid enum value"):
        return f"choose one of {', '.join(_choices(field, wanted))}."
    return f"{problem[:1].lower()}{problem[1:120]}."


def _choices(field: str, wanted: Any) -> list[str]:
    """The values of a field that is one of several words."""
    [_], parts = msgspec.json.schema_components([wanted])
    shape = parts[wanted.__name__]["properties"][field]
    shapes = [parts.get(one.get("$ref", "").rpartition("/")[2], one) for one in (shape, *shape.get("anyOf", []))]
    return [str(value) for one in shapes for value in one.get("enum", [])]


def without_zero_bytes(given: T) -> T:
    """The same, once no text in it holds a zero byte, which no database can store; `text` itself is mended later."""
    for field in msgspec.structs.fields(given):  # type: ignore[arg-type]
        value = getattr(given, field.name)
        if isinstance(value, str) and "\x00" in value and field.name != "text":
            name = field.encode_name
            raise Invalid(**{name: f"{name} contains a zero byte, which cannot be stored. Leave it out."})
    return given
