"""The one way to read a posted form: its fields as text, what is wrong with each, and all kept for the next try."""

from collections.abc import Callable
from typing import Any, TypeVar

import flask

from models.errors import Invalid, Refusal

T = TypeVar("T")


class Form:
    """The fields of one form. A view reads `form["email"]`; a template writes `form_field(..., **form.of("email"))`.

    `values` is what stands in the fields: what was posted, else what is stored. `errors` has one sentence a field.
    """

    def __init__(self, **values: Any) -> None:
        """A form nobody has posted yet, with what stands in its fields."""
        self.values: dict[str, Any] = values
        self.errors: dict[str, str] = {}
        self.problem: str | None = None

    @classmethod
    def posted(cls, *names: str) -> "Form":
        """These fields of this request, "" for a missing one. A zero byte, which Postgres cannot store, is cut."""
        return cls(**{name: flask.request.form.get(name, "").replace("\x00", "") for name in names})

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def check(self, judge: Callable[..., T], *given: Any) -> T | None:
        """What `judge` makes of a value; its refusal is kept, so that a person hears of every field at once."""
        try:
            return judge(*given)
        except Invalid as refusal:
            self.errors.update(refusal.fields)
            return None

    def raise_problems(self) -> None:
        """Raises Invalid when a check found something."""
        if self.errors:
            raise Invalid(**self.errors)

    def refused(self, refusal: Refusal) -> "Form":
        """The same form with the sentences of a refusal; one that names none of its fields stands on top."""
        self.errors = {name: sentence for name, sentence in refusal.fields.items() if name in self.values}
        strange = [sentence for name, sentence in refusal.fields.items() if name not in self.values]
        self.problem = " ".join(strange) or (str(refusal) if not self.errors else "Correct what is marked below.")
        return self

    def of(self, name: str) -> dict[str, Any]:
        """Value, error and focus of a field, for the macro `form_field`."""
        first = next(iter(self.errors), None)
        return {"value": self.values.get(name), "error": self.errors.get(name), "focus": first == name}


def answer(template: str, status: int = 200, **context: Any) -> flask.Response:
    """A page; a refused form is answered with 422 and the same page again."""
    return flask.make_response(flask.render_template(template, **context), status)


def go_to(endpoint: str, **values: Any) -> flask.Response:
    """Where a form leads when it was carried out."""
    response = flask.redirect(flask.url_for(endpoint, **values), 303)
    return flask.make_response(response)
