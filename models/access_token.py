"""Access tokens: what plugins and scripts sign in with. Shown once; only a public id and a digest are stored."""

import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Select, String, false, func, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from models import passwords
from models.base import Base, Born, Id, Time
from models.errors import Invalid, NotFound
from models.prepared import among, prepared
from models.user import User, check_name

PREFIX = "sy"


class AccessToken(Base):
    """One token of one person: `sy_<public id>_<secret>`."""

    __tablename__ = "access_tokens"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    label: Mapped[str] = mapped_column(String(80))
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    secret_digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Born]
    last_used_at: Mapped[Time | None]
    expires_at: Mapped[Time | None]
    revoked_at: Mapped[Time | None]
    # When a plugin first spoke for an agent with it: from then on it decides nothing that agents ask.
    plugin_at: Mapped[Time | None]
    user: Mapped["User"] = relationship("User", lazy="joined", innerjoin=True)

    @classmethod
    def create(
        cls, session: Session, user: User, label: str, now: datetime, days: int | None = None
    ) -> tuple["AccessToken", str]:
        """A new token and its text, which exists nowhere else afterwards. `days` until it expires, None: never."""
        if days is not None and not 1 <= days <= 3650:
            raise Invalid(days="Give a number of days from 1 to 3650, or none for a token that does not expire.")
        public_id, secret = passwords.new_secret()[:10].replace("_", "x").replace("-", "y"), passwords.new_secret()
        token = cls(
            user_id=user.id,
            label=check_name(label, "label"),
            public_id=public_id,
            secret_digest=passwords.digest(secret),
            expires_at=None if days is None else now + timedelta(days=days),
        )
        session.add(token)
        session.flush()
        return token, f"{PREFIX}_{public_id}_{secret}"

    @classmethod
    def find(cls, session: Session, text: str, now: datetime | None = None) -> "AccessToken | None":
        """The valid token with this text: not revoked, not expired, its owner still here. Notes its use.

        `now` is asked of the database along with the token, unless it is given.
        """
        return cls.find_each(session, [text], now)[0]

    @classmethod
    def find_each(
        cls, session: Session, texts: Sequence[str], now: datetime | None = None
    ) -> list["AccessToken | None"]:
        """The same for many texts at once, as one statement; the same text twice gives the same object."""
        asked = {text: _parts(text) for text in texts}
        public_ids = {parts[0] for parts in asked.values() if parts is not None}
        if not public_ids:
            return [None] * len(texts)
        rows = session.execute(*_named(sorted(public_ids))).all()
        tokens = {token.public_id: token for token, at in rows if token.is_valid(now or at)}
        fitting = {
            text: tokens[parts[0]]
            for text, parts in asked.items()
            if parts is not None and parts[0] in tokens
            if hmac.compare_digest(tokens[parts[0]].secret_digest, passwords.digest(parts[1]))
        }
        if fitting:
            cls._note_use(session, fitting.values(), now or rows[0][1])
        return [fitting.get(text) for text in texts]

    @classmethod
    def of(cls, session: Session, user: User) -> list["AccessToken"]:
        """The person's tokens, newest first; revoked ones too."""
        return list(session.scalars(select(cls).where(cls.user_id == user.id).order_by(cls.id.desc()).limit(200)))

    @classmethod
    def owned_by(cls, session: Session, user: User, id: int) -> "AccessToken":
        """The person's own token. Raises NotFound."""
        found = session.scalars(select(cls).where(cls.id == id, cls.user_id == user.id)).first()
        if found is None:
            raise NotFound("There is no such token, or it is not yours.")
        return found

    @classmethod
    def named(cls, session: Session, name: str) -> "AccessToken":
        """The token with this id or public id. Raises NotFound."""
        by_number = cls.id == int(name) if name.isdecimal() and name.isascii() and len(name) < 16 else false()
        either = select(cls).where(or_(by_number, cls.public_id == name))
        found = session.scalars(either.order_by(cls.public_id == name)).first()
        if found is None:
            raise NotFound("There is no token with this id. Settings lists the tokens of a person.")
        return found

    def is_valid(self, now: datetime) -> bool:
        """Whether it opens the door at this time."""
        expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not expired and self.user.removed_at is None

    @classmethod
    def note_plugin(cls, session: Session, id: int, now: datetime) -> None:
        """A plugin spoke for an agent with this token: it decides nothing from now on. Noted once."""
        first = update(cls).where(cls.id == id, cls.plugin_at.is_(None)).values(plugin_at=now)
        session.execute(first.execution_options(synchronize_session=False))

    def revoke(self, now: datetime) -> None:
        """Ends the token, and what came in by it; a second time changes nothing."""
        if self.revoked_at is None:
            self.revoked_at = now
            self.user.say_credentials_ended()

    @classmethod
    def _note_use(cls, session: Session, tokens: Iterable["AccessToken"], now: datetime) -> None:
        # Once a minute is exact enough for people, and spares a write per request.
        late = now - timedelta(minutes=1)
        ids = {token.id for token in tokens if token.last_used_at is None or token.last_used_at < late}
        if ids:
            unnoted = or_(cls.last_used_at.is_(None), cls.last_used_at < late)
            # Whoever holds one notes its use, or ends it: neither is worth waiting for.
            which = select(cls.id).where(cls.id.in_(sorted(ids)), unnoted)
            free = which.with_for_update(skip_locked=True, key_share=True)
            used = update(cls).where(cls.id.in_(free)).values(last_used_at=now)
            session.execute(used.execution_options(synchronize_session=False))


def _parts(text: str) -> tuple[str, str] | None:
    """Public id and secret of a token's text; None for what is none."""
    prefix, _, rest = text.strip().partition("_")
    public_id, _, secret = rest.partition("_")
    if prefix != PREFIX or not public_id or not secret or not text.isascii() or "\x00" in text:
        return None
    return public_id, secret


@prepared
def _named(public_ids: Sequence[str]) -> Select[AccessToken, datetime]:
    return select(AccessToken, func.now()).where(among(AccessToken.public_id, public_ids))
