"""One tree of refusals. What a caller did wrong, or what stands in the way, as a sentence a person can act on.

Doors translate them: `status` is the HTTP status, `code` the word that scripts read (docs: the REST error table).
"""

from datetime import UTC, datetime
from typing import Any


class Refusal(Exception):
    """The request cannot be carried out."""

    status = 422
    code = "invalid"

    def __init__(self, sentence: str | None = None, **fields: str) -> None:
        """`fields` maps the name of each field at fault to a sentence of its own.

        `more`, set afterwards, is what programs are told besides sentence and code.
        """
        self.fields = fields
        self.more: dict[str, Any] = {}
        super().__init__(sentence or next(iter(fields.values()), None) or (self.__doc__ or "").strip())


class Malformed(Refusal):
    """The request could not be read."""

    status, code = 400, "malformed"


class NotSignedIn(Refusal):
    """Send a valid access token: Authorization: Bearer <token>."""

    status, code = 401, "not_signed_in"


class Forbidden(Refusal):
    """You have no right to do this."""

    status, code = 403, "forbidden"


class NotFound(Refusal):
    """There is no such thing here, or it is not yours to see."""

    status, code = 404, "not_found"


class Conflict(Refusal):
    """The thing is not in a state that allows this."""

    status, code = 409, "wrong_state"


class WrongState(Conflict):
    """The thing is not in a state that allows this."""


class LostRace(Conflict):
    """Somebody else was faster. Nothing was changed by this request."""

    code = "lost_race"

    def __init__(self, sentence: str | None = None, *, reason: str | None = None) -> None:
        """`reason` is a word for programs: already_completed, claimed_without_reply, not_delegated."""
        super().__init__(sentence)
        self.more = {"reason": reason} if reason else {}


class AlreadyDecided(Conflict):
    """This was already decided."""

    code = "already_decided"

    def __init__(self, behavior: str, by_id: int, by_name: str, at: datetime | None) -> None:
        """What was decided (allow, allow_always, deny), by whom and when."""
        done = "denied" if behavior == "deny" else "allowed"
        super().__init__(f"This was already decided: {by_name} {done} it.")
        self.behavior, self.by_id, self.by_name, self.at = behavior, by_id, by_name, at
        when = None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        decided_by = {"id": by_id, "name": by_name}
        self.more = {"behavior": behavior, "decided_by": decided_by, "decided_at": when}


class TooLarge(Refusal):
    """The request is too large."""

    status, code = 413, "too_large"


class Invalid(Refusal):
    """Something in the request is not acceptable."""


class NameTaken(Refusal):
    """This name is taken."""

    code = "name_taken"


class UrlRefused(Refusal):
    """This URL may not be connected to."""

    code = "url_refused"


class KeyDiffers(Refusal):
    """A gateway uses this address with another token."""

    code = "key_differs"


class GatewayRefused(Refusal):
    """The gateway could not be connected to."""

    code = "unreachable"

    def __init__(self, code: str, sentence: str | None = None) -> None:
        """`code`: token_refused, pairing_required, protocol_mismatch, url_refused, unreachable ..."""
        super().__init__(sentence)
        self.code = code


class RateLimited(Refusal):
    """Too many tries."""

    status, code = 429, "rate_limited"

    def __init__(self, sentence: str | None = None, *, retry_after: int = 60) -> None:
        """`retry_after` is in seconds."""
        super().__init__(sentence)
        self.retry_after = retry_after


class DatabaseAway(Refusal):
    """The database does not answer. Nothing was stored; try again in a moment."""

    status, code = 503, "database_away"
