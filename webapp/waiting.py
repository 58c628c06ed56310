"""Waits for what a gateway answers to a request: outside any transaction, and without holding a connection.

The row is the truth: whoever was nudged, or has waited a moment, reads it.
"""

import time
from datetime import timedelta
from typing import Any, NamedTuple

from gevent.event import Event
from sqlalchemy import select

from models.database import reading
from models.errors import GatewayRefused, NotFound
from models.gateway_request import GatewayRequest, RequestStatus
from webapp.hub import hub
from webapp.streams import Heard

# How long a person or a program is kept waiting.
SECONDS = 10.0
# How long a request may go on after that.
PATIENCE = timedelta(seconds=60)
# A nudge may be missed; while nobody listens for them the row is looked at more often.
LOOK_SECONDS, LOOK_ALONE_SECONDS = 1.0, 0.1

CODES = {
    "token_refused": "token_refused",
    "pairing": "pairing_required",
    "pairing_required": "pairing_required",
    "protocol": "protocol_mismatch",
    "protocol_mismatch": "protocol_mismatch",
    "url_refused": "url_refused",
    "key_differs": "key_differs",
}


class Answer(NamedTuple):
    """A request as it stands: `answer` when it is done, a code and a sentence when it was refused."""

    id: int
    gateway_id: int | None
    verb: str
    status: str
    answer: dict[str, Any] | None
    refusal_code: str | None
    refusal_text: str | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.status in (RequestStatus.DONE, RequestStatus.REFUSED, RequestStatus.EXPIRED)

    @property
    def is_good(self) -> bool:
        """Whether it was done; a gateway that takes the token may still want its owner to approve this hub."""
        return self.status == RequestStatus.DONE and not self._needs_pairing

    @property
    def _needs_pairing(self) -> bool:
        return bool((self.answer or {}).get("needs_pairing"))

    @property
    def code(self) -> str:
        """The word for programs: what stands in the table of errors."""
        if self._needs_pairing:
            return "pairing_required"
        return CODES.get(self.refusal_code or "", "unreachable")

    @property
    def sentence(self) -> str:
        """Why it was not done."""
        if self._needs_pairing:
            return str((self.answer or {}).get("words") or "The gateway does not know this hub yet.")
        return self.refusal_text or "Nobody answered in time. Check the address, and that the gateway is running."

    def raise_refusal(self) -> None:
        """Raises GatewayRefused unless it was done."""
        if not self.is_good:
            raise GatewayRefused(self.code, self.sentence)


def standing(request_id: int) -> Answer:
    """The request as it stands now. Raises NotFound."""
    shown = (
        GatewayRequest.id,
        GatewayRequest.gateway_id,
        GatewayRequest.verb,
        GatewayRequest.status,
        GatewayRequest.answer,
        GatewayRequest.refusal_code,
        GatewayRequest.refusal_text,
    )
    with reading() as session:
        row = session.execute(select(*shown).where(GatewayRequest.id == request_id)).first()
    if row is None:
        raise NotFound("There is no such request.")
    return Answer(*row)


def answer_to(request_id: int, seconds: float = SECONDS) -> Answer:
    """The request once it is over, or as it stands when the time is. To be called when it was committed."""
    nudged, streams, ends = Event(), hub().streams, time.monotonic() + seconds

    def hear(heard: Heard) -> None:
        if heard.ids.get("request") == request_id or heard.event == "look_again":
            nudged.set()

    streams.follow("hub", hear)
    try:
        while True:
            nudged.clear()
            found, left = standing(request_id), ends - time.monotonic()
            if found.is_over or left <= 0:
                return found
            nudged.wait(min(left, LOOK_SECONDS if streams.listening else LOOK_ALONE_SECONDS))
    finally:
        streams.leave("hub", hear)
